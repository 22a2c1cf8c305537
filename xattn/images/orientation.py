"""What each EXIF orientation asks for, of arrays whose first axes are rows and columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

SWAPPED = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def turn_upright(pixels: NDArray[T], orientation: int) -> NDArray[T]:
    """Turn stored pixels (h, w) or (h, w, channels) as an EXIF orientation, 1 to 8, asks for."""
    turned = pixels if orientation == 1 else _TURNS[orientation](pixels)
    return np.ascontiguousarray(turned)
