"""What do the models look at in an image, and does attention say more than Grad-CAM.

python figures/local_explanations.py RUN... OUT

RUN are run folders of the same images after `xattn feature-usage`, a model each, with maps of two
methods or more. Writes maps of all models beside each other, how far the methods agree, images on
which they agree most and least, where the maps lie against chance, and the table of the latter.
"""

import sys
from functools import partial

from xattn.errors import XattnError
from xattn.figures.registry import save_figures
from xattn.figures.tables import save_tables

if len(sys.argv) < 3:
    sys.exit(__doc__)
note = partial(print, file=sys.stderr)  # a run that lacks the data of a figure
try:
    *runs, out = sys.argv[1:]
    figures = ["attribution-models", "agreement", "agreement-maps", "alignment"]
    written = save_figures(
        runs, only=figures, formats="pdf", out=out, venue="lncs", strict=False, on_note=note
    )
    for path in [*written, *save_tables(runs, only="alignment", formats="tex", out=out)]:
        print(path)
except XattnError as err:
    sys.exit(f"Error: {err}")
