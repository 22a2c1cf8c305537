"""Draw what a reversed test set costs, and how much of it each artifact explains.

python figures/trap.py RUN...        writes RUN/figures/trap.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="trap", formats=("pdf", "png")):
    print(path)
