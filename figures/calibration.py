"""Draw reliability diagrams of a run after xattn evaluate.

python figures/calibration.py RUN...        writes RUN/figures/calibration.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="calibration", formats=("pdf", "png")):
    print(path)
