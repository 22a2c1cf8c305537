"""Draw two methods' maps of the images on which they agree most, middling and least.

python figures/agreement_maps.py RUN...        writes RUN/figures/agreement-maps.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="agreement-maps", formats=("pdf", "png")):
    print(path)
