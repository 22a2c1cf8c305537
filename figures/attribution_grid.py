"""Draw images, masks and maps side by side.

python figures/attribution_grid.py RUN...        writes RUN/figures/attribution-grid.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="attribution-grid", formats=("pdf", "png")):
    print(path)
