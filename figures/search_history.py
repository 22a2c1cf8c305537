"""Draw the course of a hyperparameter search and what each value gave.

python figures/search_history.py RUN...        (folders of xattn search)

Writes RUN/figures/search-history.pdf and .png.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="search-history", formats=("pdf", "png")):
    print(path)
