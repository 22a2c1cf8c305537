"""Draw every seed of every model, and the differences between models.

python figures/performance_seeds.py RUN...        (folders of xattn compare)

Writes RUN/figures/performance-seeds.pdf and .png.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="performance-seeds", formats=("pdf", "png")):
    print(path)
