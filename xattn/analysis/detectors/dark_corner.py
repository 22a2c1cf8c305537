"""The dark corners that the round field of a dermatoscope leaves."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.analysis.detectors.picture import Field, Mask, Picture
from xattn.analysis.detectors.registry import Found, detector

_CORNER = 4
_DARK = 0.5
"""Share of the picture's median L* below which a corner is dark."""
_INNER = 0.7
"""Half diagonals from the middle within which nothing is a corner: lesions are dark, too."""


@detector(
    "dark_corner",
    middle=-0.46,
    spread=0.087,
    looks_for="corners of the picture that are darker than the rest",
    source="Sultana et al. 2014; Bissoto et al. 2020",
)
def dark_corner(picture: Picture) -> Found:
    """Compare the two darkest corners (triangles of 4 pixels) with the picture's median L*."""
    light = picture.light
    corners = np.stack([light[::down, ::right][:_CORNER, :_CORNER] for down, right in _TURNS])
    triangle = np.add.outer(np.arange(_CORNER), np.arange(_CORNER)) < _CORNER
    levels = np.sort(np.median(corners[:, triangle], axis=1)) / max(1.0, float(np.median(light)))
    return Found(-float(levels[:2].mean()), dark_field(light))


_TURNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def dark_field(light: Field) -> Mask:
    """Return the dark parts of the picture that hang together with a corner, widened a little.

    Args:
        light: L*, (h, w).
    """
    height, width = light.shape
    rows, cols = np.ogrid[:height, :width]
    middle = (height - 1) / 2, (width - 1) / 2
    out = np.hypot(rows - middle[0], cols - middle[1]) > _INNER * np.hypot(*middle)
    dark = ((light < _DARK * np.median(light)) & out).astype(np.uint8)
    _, part = cv2.connectedComponents(dark, connectivity=8)
    corners = [part[i, j] for i in (0, -1) for j in (0, -1)]
    field = np.isin(part, [p for p in corners if p > 0]).astype(np.uint8)
    return np.asarray(cv2.dilate(field, np.ones((7, 7), np.uint8)), dtype=bool)
