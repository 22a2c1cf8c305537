"""Draw how far two methods' maps of one image agree, beside chance.

python figures/agreement.py RUN...        draws all runs together

Writes RUN/figures/agreement.pdf and .png; of several runs, into `figures` beside the first.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="agreement", formats=("pdf", "png")):
    print(path)
