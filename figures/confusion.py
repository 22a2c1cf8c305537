"""Draw which class is taken for which, after xattn evaluate.

python figures/confusion.py RUN...        writes RUN/figures/confusion.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="confusion", formats=("pdf", "png")):
    print(path)
