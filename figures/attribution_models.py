"""Draw the same images under several models, a row a model.

python figures/attribution_models.py RUN...        draws all runs together

Writes RUN/figures/attribution-models.pdf and .png; of several runs, into `figures` beside the
first.
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="attribution-models", formats=("pdf", "png")):
    print(path)
