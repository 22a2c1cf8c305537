"""Matrices of random rows that are drawn when they are needed, a block at a time.

Permutations and bootstrap replicates are as long as there are images: a thousand rows of a million
images are 4 GB. What is asked of them is asked row by row, so a block of rows is enough at a time.
Which rows come does not depend on the size of the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

BLOCK = 2**23
"""Entries of a block: 32 MB of four bytes each."""


class Drawn(Generic[Scalar]):
    """A matrix (rows, n) of random rows.

    Indexed by a slice of rows it gives an array, and to numpy it is the array of all of them. Rows
    in ascending order are drawn once; those before the last ones asked for are drawn again.

    Args:
        shape: (rows, n).
        blocks: starts anew and yields all rows, so many at a time as it is asked for; of no rows
            an array of none.
    """

    def __init__(
        self, shape: tuple[int, int], blocks: Callable[[int], Iterator[NDArray[Scalar]]]
    ) -> None:
        self.shape = shape
        self._begin = blocks
        # A multiple of four: numpy draws bytes by fours, and drops the rest of a call's last four.
        self._size = max(4, BLOCK // max(1, shape[1]) // 4 * 4)
        self._going: Iterator[NDArray[Scalar]] = iter(())
        self._number, self._block = -1, None  # type: int, NDArray[Scalar] | None

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[NDArray[Scalar]]:
        """Yield all rows in order, in arrays (some, n)."""
        for number in range(max(1, -(-self.shape[0] // self._size))):
            yield self._at(number)

    def map(self, statistic: Callable[[NDArray[Scalar]], NDArray[Any]]) -> NDArray[Any]:
        """Return a statistic of every row, (rows, ...).

        Args:
            statistic: of some rows (some, n), (some, ...).
        """
        return np.concatenate([statistic(block) for block in self.blocks()])

    @overload
    def __getitem__(self, rows: slice) -> NDArray[Scalar]: ...
    @overload
    def __getitem__(self, rows: int) -> NDArray[Scalar]: ...
    def __getitem__(self, rows: slice | int) -> NDArray[Scalar]:
        if isinstance(rows, int):
            place = range(len(self))[rows]  # an IndexError where there is none ends a loop
            row: NDArray[Scalar] = self._at(place // self._size)[place % self._size]
            return row
        begin, end, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"Expected rows one after the other, but got steps of {step}")
        first, last = begin // self._size, max(begin, end - 1) // self._size
        parts = [
            self._at(b)[max(0, begin - b * self._size) : end - b * self._size]
            for b in range(first, last + 1)
        ]
        found: NDArray[Scalar] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        blocks = list(self.blocks())
        whole: NDArray[Any] = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return whole if dtype is None else whole.astype(dtype)

    def _at(self, number: int) -> NDArray[Scalar]:
        if number < self._number or self._block is None:
            self._going, self._number = self._begin(self._size), -1
        while self._number < number:
            self._block = next(self._going)
            self._number += 1
        assert self._block is not None
        return self._block
