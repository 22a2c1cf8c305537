"""Draw the computational graph of embedded local self-attention (ELA), from the block itself.

python figures/block_ela.py FOLDER        writes FOLDER/block-ela.pdf and .png; needs no run
"""

import sys

from xattn.figures.registry import save_figures

if len(sys.argv) != 2:
    sys.exit(__doc__)
for path in save_figures(only="block-ela", formats=("pdf", "png"), out=sys.argv[1]):
    print(path)
