"""Paste discs into images and see where a trained network's Grad-CAM changes.

`python -m tests.models.register_pasted CHECKPOINT IMAGES` prints how far, on average and in the
median, the change lies from the disc: with the cells in register, and spread evenly.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image

import xattn
from xattn.images import Cells, find_images, read_image

IMAGES, RADIUS, COLOUR, HIGH = 300, 14, (60, 150, 90), 0.8
"""Images; of the disc in pixels of the input, its colour; what counts as high in a map."""


def main(checkpoint: str, folder: str) -> None:
    """Measure and print."""
    model = xattn.load(checkpoint)
    height, width = model.preprocessing.size
    rng = np.random.default_rng(0)
    files = [f.path for f in find_images([folder])]
    ways = {
        "in register": model.cells(),
        "spread evenly": Cells.spread(model.cells().grid, model.preprocessing.size),
    }
    apart: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    rows, columns = np.mgrid[:height, :width]
    for i in rng.choice(len(files), min(IMAGES, len(files)), replace=False):
        plain = model.preprocessing.pixels(Image.fromarray(np.asarray(read_image(files[i]).image)))
        y, x = rng.uniform(RADIUS, height - RADIUS), rng.uniform(RADIUS, width - RADIUS)
        pasted = plain.copy()
        pasted[(rows - y) ** 2 + (columns - x) ** 2 < RADIUS**2] = COLOUR
        batch = model.normalise(torch.from_numpy(np.stack([plain, pasted])))
        before, after = xattn.attribute(model, batch, "gradcam", 0).cpu().double().numpy()
        change = np.clip(after - before, 0, None)
        if not change.max() > 0:
            continue
        for name, cells in ways.items():
            down, across = cells.matrices(height, width)
            shown = down @ change @ across.T
            at_y, at_x = np.nonzero(shown > HIGH * shown.max())
            apart[name].append((at_y.mean() - y, at_x.mean() - x))
    for name, offsets in apart.items():
        mean, far = np.mean(offsets, axis=0), np.median(np.hypot(*np.transpose(offsets)))
        sys.stdout.write(
            f"{name}: {mean[0]:+.1f} px down, {mean[1]:+.1f} px to the right on average, "
            f"{far:.1f} px away in the median ({len(offsets)} images)\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
