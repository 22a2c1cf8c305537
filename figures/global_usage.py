"""Which features do the models use, of all images: structures of the lesion, and biases.

python figures/global_usage.py RUN... OUT

RUN are run folders after `xattn feature-usage`, a model each. Writes the heat map of all models
with their verdicts, what editing each feature changes in each model, and the tables of both.
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
    written = save_figures(
        runs,
        only=["usage-heatmap", "interventions"],
        formats="pdf",
        out=out,
        venue="lncs",
        strict=False,
        on_note=note,
    )
    tables = ["feature_usage", "interventions", "verdicts"]
    for path in [*written, *save_tables(runs, only=tables, formats="tex", out=out)]:
        print(path)
except XattnError as err:
    sys.exit(f"Error: {err}")
