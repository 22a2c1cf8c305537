"""Draw which features several models use, as a heat map.

python figures/usage_heatmap.py RUN...        draws all runs together

Writes RUN/figures/usage-heatmap.pdf and .png; of several runs, into `figures` beside the first.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="usage-heatmap", formats=("pdf", "png")):
    print(path)
