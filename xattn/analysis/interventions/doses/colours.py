"""Colours of float images: CIELAB and back, means, and changes of one size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float32]


def to_lab(image: Colours) -> Colours:
    """Return CIELAB (height, width, 3) of sRGB, 0 to 255, under D65.

    Args:
        image: float32 (height, width, 3).
    """
    return np.asarray(cv2.cvtColor(image / np.float32(255), cv2.COLOR_RGB2LAB))


def to_rgb(lab: Colours) -> Colours:
    """Return sRGB (height, width, 3), 0 to 255, of CIELAB; what no screen shows is clipped.

    Args:
        lab: float32 (height, width, 3).
    """
    rgb = cv2.cvtColor(np.asarray(lab, dtype=np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(rgb, 0, 1) * np.float32(255), dtype=np.float32)


def size_of(change: Colours) -> float:
    """Return the root mean square of a change over the pixels, in the unit of the change.

    Args:
        change: (height, width, 3).
    """
    return float(np.sqrt(np.square(change, dtype=np.float64).sum(axis=-1).mean()))


def faded(weight: NDArray[np.bool_], pixels: float) -> Colours:
    """Return a mask as weights (height, width, 1) whose border fades over some pixels.

    Args:
        weight: (height, width).
        pixels: standard deviation of the blur.
    """
    smooth = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), pixels)
    return np.asarray(smooth, dtype=np.float32)[..., None]
