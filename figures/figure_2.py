"""Figure 2: the graphs of local self-attention (LA) and of the embedded kind (ELA).

python figures/figure_2.py OUT        writes OUT/block-la.pdf and OUT/block-ela.pdf
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) != 2:
    sys.exit(__doc__)
graphs = ["block-la", "block-ela"]
for path in save_figures(only=graphs, formats="pdf", out=sys.argv[1], venue="lncs"):
    print(path)
