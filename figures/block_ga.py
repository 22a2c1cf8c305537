"""Draw the computational graph of global self-attention (GA), from the block itself.

python figures/block_ga.py FOLDER        writes FOLDER/block-ga.pdf and .png; needs no run
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) != 2:
    sys.exit(__doc__)
for path in save_figures(only="block-ga", formats=("pdf", "png"), out=sys.argv[1]):
    print(path)
