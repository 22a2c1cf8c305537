"""One image, and what several detectors and measures need of it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.images.levels import Pixels
from xattn.images.masks import Mask
from xattn.stats.arrays import Floats32

BORDER = 4
"""Pixels at the image's edge that line detectors leave alone: frames and filters end there."""


@dataclass(frozen=True, eq=False)
class FramedImage:
    """An image in the frame that the detectors were set for (long side 256 pixels).

    Attributes:
        pixels: RGB (h, w, 3), 0 to 255; uint8, or float32 if it is deep.
    """

    pixels: Pixels

    @cached_property
    def lab(self) -> Floats32:
        """CIELAB of the image taken as sRGB under D65, (h, w, 3)."""
        return np.asarray(cv2.cvtColor(self.pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))

    @cached_property
    def light(self) -> Floats32:
        """L*, 0 to 100, (h, w)."""
        return np.ascontiguousarray(self.lab[..., 0])

    @cached_property
    def dark_lines(self) -> Floats32:
        """How much darker than its surroundings each pixel is, where narrower than 7 pixels."""
        return np.asarray(cv2.morphologyEx(self.light, cv2.MORPH_CLOSE, disc(7)) - self.light)

    @cached_property
    def bright_spots(self) -> Floats32:
        """How much brighter than its surroundings each pixel is, where narrower than 5 pixels."""
        return np.asarray(self.light - cv2.morphologyEx(self.light, cv2.MORPH_OPEN, disc(5)))

    @cached_property
    def inner(self) -> Mask:
        """All but the border."""
        inner = np.zeros(self.light.shape, dtype=bool)
        inner[BORDER:-BORDER, BORDER:-BORDER] = True
        return inner


def disc(side: int) -> NDArray[np.uint8]:
    """Return a disc (side, side) for morphology.

    Args:
        side: in pixels.
    """
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)
