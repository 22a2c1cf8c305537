"""Draw how far groups are apart, beside what chance would give.

python figures/fairness.py RUN...        writes RUN/figures/fairness.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="fairness", formats=("pdf", "png")):
    print(path)
