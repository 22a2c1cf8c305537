"""Draw gaps between images with and without an artifact.

python figures/bias.py RUN...        writes RUN/figures/bias.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="bias", formats=("pdf", "png")):
    print(path)
