"""Draw which features the model uses, beside controls.

python figures/feature_usage.py RUN...        writes RUN/figures/feature-usage.pdf and .png
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) < 2:
    sys.exit(__doc__)
for path in save_figures(sys.argv[1:], only="feature-usage", formats=("pdf", "png")):
    print(path)
