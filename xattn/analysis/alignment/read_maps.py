"""Maps of a run, read a few images at a time: those of pixels would fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_CHUNK_PIXELS = 2**21


class Maps(Protocol):
    """Maps (n, h, w), in memory or on disk: an array, or one that is read as it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, h, w)."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Read some of them."""


def chunks(maps: Maps, n: int) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield rows and their maps (some, h, w), of the first n.

    Args:
        maps: of at least n images.
        n: how many.
    """
    size = max(1, _CHUNK_PIXELS // max(1, prod(maps.shape[1:])))
    for start in range(0, n, size):
        rows = slice(start, min(n, start + size))
        yield rows, maps[rows]


def taken(maps: Maps, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return the maps of some images, (k, h, w).

    Args:
        maps: of all.
        rows: (k,) ascending.
    """
    found = [np.zeros((0, *maps.shape[1:]), np.float32)]
    for part, some in chunks(maps, int(rows[-1]) + 1 if len(rows) else 0):
        mine = rows[(rows >= part.start) & (rows < part.stop)]
        found.append(some[mine - part.start])
    return np.concatenate(found)
