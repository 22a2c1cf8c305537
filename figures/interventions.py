"""Draw what happens to the score when features are edited, beside controls.

python figures/interventions.py RUN...        writes RUN/figures/interventions.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="interventions", formats=("pdf", "png")):
    print(path)
