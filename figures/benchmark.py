"""Does attention improve the classification: balanced accuracy of every seed, ID and OOD.

python figures/benchmark.py COMPARISON OUT

COMPARISON is a folder of `xattn compare`. Writes each network's metric with the differences
between models, their mean ranks of three models or more, and the tables.
"""

import sys
from functools import partial

from xattn.errors import XattnError
from xattn.figures.folders import opened
from xattn.figures.registry import save_figures
from xattn.figures.tables import save_tables

if len(sys.argv) != 3:
    sys.exit(__doc__)
note = partial(print, file=sys.stderr)  # a run that lacks the data of a figure
try:
    comparison, out = opened(sys.argv[1]), sys.argv[2]
    names = ["performance-seeds", "critical-difference"]
    written = save_figures(
        comparison, only=names, formats="pdf", out=out, venue="lncs", strict=False, on_note=note
    )
    for path in [*written, *save_tables(comparison, formats="tex", out=out)]:
        print(path)
except XattnError as err:
    sys.exit(f"Error: {err}")
