"""Draw lift of each method on each feature, beside chance.

python figures/alignment.py RUN...        writes RUN/figures/alignment.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="alignment", formats=("pdf", "png")):
    print(path)
