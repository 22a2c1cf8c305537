"""Draw the computational graph of local self-attention (LA), from the block itself.

python figures/block_la.py FOLDER        writes FOLDER/block-la.pdf and .png; needs no run
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) != 2:
    sys.exit(__doc__)
for path in save_figures(only="block-la", formats=("pdf", "png"), out=sys.argv[1]):
    print(path)
