"""Figure 1: the computational graph of global self-attention (GA), recorded from its code.

python figures/figure_1.py OUT        writes OUT/block-ga.pdf
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) != 2:
    sys.exit(__doc__)
for path in save_figures(only="block-ga", formats="pdf", out=sys.argv[1], venue="lncs"):
    print(path)
