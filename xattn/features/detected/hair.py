"""Dark hair."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from xattn.features.detected.framed_image import FramedImage
from xattn.features.detected.parts import parts_of
from xattn.features.detected.registry import RawDetection, detector
from xattn.images.domains import SKIN
from xattn.stats.arrays import Floats32

_ORIENTATIONS, _LENGTH = 12, 15
_STRONGEST = 20.0
"""L* above which a line does not count for more, or one black strand would outweigh the rest."""
_LINE, _DARKER = 1.0, 3.0
_SHORTEST, _THICKEST = 14.0, 5.0
_RULED_LENGTH, _RULED_WIDTH = 60.0, 4.0
"""A longer line that stays within so few pixels was drawn by a ruler."""


@detector(
    "hair",
    middle=2.9,
    spread=1.69,
    meaning="long thin dark lines that are not straight",
    source="Lee et al. 1997 (DullRazor: morphological closing); Abbas et al. 2011 (line filters)",
    domains=SKIN,
)
def hair(image: FramedImage) -> RawDetection:
    """Measure the length of thin dark lines: the log of the pixels along all of them.

    The closing finds what is narrow and dark; of it, lines of 15 pixels in twelve directions must
    stand out against the mean over directions, which pigment networks and dots do not.
    """
    response = np.minimum(image.dark_lines, _STRONGEST)
    along = np.stack([cv2.filter2D(response, -1, kernel) for kernel in _bars()])
    line = along.max(axis=0) - 1.3 * along.mean(axis=0)
    found = parts_of((line > _LINE) & (response > _DARKER) & image.inner)
    hairs = (found.length >= _SHORTEST) & (found.area < _THICKEST * found.length)
    hairs &= (found.length < _RULED_LENGTH) | (found.width > _RULED_WIDTH)
    mask = cv2.dilate(found.mask(hairs).astype(np.uint8), np.ones((3, 3), np.uint8))
    return RawDetection(float(np.log(5 + found.length[hairs].sum())), mask.astype(bool))


@lru_cache(maxsize=1)
def _bars() -> tuple[Floats32, ...]:
    """Return soft bars through the middle, one per orientation, each of sum 1."""
    reach = _LENGTH // 2
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    bars = []
    for angle in np.arange(_ORIENTATIONS) * np.pi / _ORIENTATIONS:
        across = cols * np.sin(angle) - rows * np.cos(angle)
        along = cols * np.cos(angle) + rows * np.sin(angle)
        bar = np.exp(-0.5 * (across / 0.8) ** 2) * (np.abs(along) <= reach)
        bars.append((bar / bar.sum()).astype(np.float32))
    return tuple(bars)
