"""Which arrays are images, or stacks of them, by their shape and type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 8
"""Pixels of the shortest side of what is an image among arrays."""
_SMALLEST_GREY = 32
"""The same of an array of two dimensions, which may also be a table."""
_LEVELS = (np.dtype(np.uint8), np.dtype(np.uint16))
_CHANNELS = (1, 3, 4)
_NUMBERS = "uif"


def is_image(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Say whether an array is the pixels of one image, (h, w), (h, w, c) or (c, h, w).

    >>> is_image((64, 64, 3), np.dtype("uint8")), is_image((500, 14), np.dtype("uint8"))
    (True, False)
    """
    if len(shape) == 2 and (dtype not in _LEVELS or min(shape) < _SMALLEST_GREY):
        return False
    return _are_pixels(shape, dtype)


def are_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Say whether an array holds several images, a row each.

    >>> are_images((9, 28, 28), np.dtype("uint8")), are_images((64, 64, 3), np.dtype("uint8"))
    (True, False)
    """
    if len(shape) == 3 and shape[-1] in _CHANNELS:
        return False
    if len(shape) == 4 and dtype.kind in _NUMBERS and channel_axis(shape[1:]) is not None:
        return True  # of any number of channels
    return len(shape) in (3, 4) and _are_pixels(shape[1:], dtype)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of the channels of one image of any number of them; None if none stands out.

    The last, if it is shorter than both others, else the first if it is.

    >>> channel_axis((64, 80, 12)), channel_axis((5, 64, 80)), channel_axis((64, 64, 64))
    (-1, 0, None)
    """
    if len(shape) == 2:
        return -1 if min(shape) >= _SMALLEST else None
    for axis, sides in ((-1, shape[:-1]), (0, shape[1:])):
        if len(shape) == 3 and shape[axis] < min(sides) and min(sides) >= _SMALLEST:
            return axis
    return None


def as_image(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels with their channels last, and none where there is one."""
    if pixels.ndim == 3 and pixels.shape[-1] not in _CHANNELS:
        first = pixels.shape[0] in _CHANNELS or channel_axis(pixels.shape) == 0
        pixels = np.moveaxis(pixels, 0, -1) if first else pixels
    single = pixels.ndim == 3 and pixels.shape[-1] == 1
    return np.ascontiguousarray(pixels[..., 0] if single else pixels)


def _are_pixels(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    if dtype.kind not in _NUMBERS or len(shape) not in (2, 3):
        return False
    sides = shape
    if len(shape) == 3:
        sides = shape[:-1] if shape[-1] in _CHANNELS else shape[1:]
        if shape[-1] not in _CHANNELS and shape[0] not in _CHANNELS:
            return False
    return min(sides) >= _SMALLEST
