"""The dark corners that the round field of a dermatoscope leaves."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from xattn.features.detected.framed_image import FramedImage
from xattn.features.detected.registry import RawDetection, detector
from xattn.images.masks import Mask
from xattn.stats.arrays import Floats32

_CORNER = 4
_DARK = 0.5
"""Fraction of the image's median L* below which a corner is dark."""
_INNER = 0.7
"""Half diagonals from the middle within which nothing is a corner: lesions are dark, too."""


@detector(
    "dark_corner",
    middle=-0.46,
    spread=0.087,
    meaning="corners of the image that are darker than the rest",
    source="Sultana et al. 2014; Bissoto et al. 2020",
    domains=("dermoscopy",),
)
def dark_corner(image: FramedImage) -> RawDetection:
    """Compare the two darkest corners (triangles of 4 pixels) with the image's median L*."""
    light = image.light
    corners = np.stack([light[::down, ::right][:_CORNER, :_CORNER] for down, right in _TURNS])
    triangle = np.add.outer(np.arange(_CORNER), np.arange(_CORNER)) < _CORNER
    levels = np.sort(np.median(corners[:, triangle], axis=1)) / max(1.0, float(np.median(light)))
    return RawDetection(-float(levels[:2].mean()), dark_field(light))


_TURNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def dark_field(light: Floats32) -> Mask:
    """Return the dark parts of the image that hang together with a corner, widened a little.

    Args:
        light: L*, (h, w).
    """
    dark = ((light < _DARK * np.median(light[::2, ::2])) & _outside(light.shape)).astype(np.uint8)
    _, part = cv2.connectedComponents(dark, connectivity=8)
    at_corner = np.zeros(part.max() + 1, dtype=np.uint8)
    at_corner[[part[i, j] for i in (0, -1) for j in (0, -1)]] = 1
    at_corner[0] = 0
    return np.asarray(cv2.dilate(at_corner[part], np.ones((7, 7), np.uint8)), dtype=bool)


@lru_cache(maxsize=64)
def _outside(shape: tuple[int, ...]) -> Mask:
    """Return where corners may reach; shared, not to be written to."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    middle = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    away = np.hypot(rows - middle[0], cols - middle[1])
    return np.asarray(away > _INNER * np.hypot(*middle))
