"""Draw the effect of each feature over the steps of a training.

python figures/usage_over_training.py RUN...   writes RUN/figures/usage-over-training.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="usage-over-training", formats=("pdf", "png")):
    print(path)
