"""Image files that tests write: a photograph, and a mask of the same shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def photo(path: Path) -> Path:
    """Write noise: an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return path


def mask(path: Path) -> Path:
    """Write two levels: a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((24, 32), np.uint8)
    pixels[6:18, 8:24] = 255
    Image.fromarray(pixels).save(path)
    return path
