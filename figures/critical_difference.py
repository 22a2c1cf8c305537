"""Draw mean ranks of models, and which cannot be told apart.

python figures/critical_difference.py RUN...        (folders of xattn compare)

Writes RUN/figures/critical-difference.pdf and .png.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="critical-difference", formats=("pdf", "png")):
    print(path)
