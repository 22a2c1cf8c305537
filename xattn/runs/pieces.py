"""An array written row by row out of several others, of which no more than a chunk is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xattn.disk import writing_to
from xattn.runs.arrays import StoredArray, create_array

_CHUNK_BYTES = 2**22

Read = Callable[[NDArray[np.intp]], NDArray[np.float32]]
"""Rows of a piece, in rising order, to their values (rows, h, w)."""


@dataclass(frozen=True)
class Piece:
    """Maps of some images, read when they are needed.

    Attributes:
        files: of each row.
        read: gives rows.
    """

    files: Sequence[str]
    read: Read

    @classmethod
    def stored(cls, files: Sequence[str], array: StoredArray) -> Piece:
        """Return the first rows of an array on disk, as many as there are files."""

        def read(rows: NDArray[np.intp]) -> NDArray[np.float32]:
            first, last = int(rows[0]), int(rows[-1])
            one_after_the_other = last - first + 1 == len(rows)
            return array[first : last + 1] if one_after_the_other else array.take(rows)

        return cls(files, read)


def write_rows(path: Path, pieces: Sequence[Piece], files: Sequence[str]) -> None:
    """Write an array with one row for each file; where several pieces have it, the last counts.

    Args:
        path: the array's folder; there is none yet.
        pieces: each with rows of one shape.
        files: in the order of the rows; each is in a piece.

    Raises:
        ValueError: rows of two pieces have other shapes.
    """
    place = {file: (i, j) for i, piece in enumerate(pieces) for j, file in enumerate(piece.files)}
    where = np.array([place[file] for file in files], dtype=np.intp).reshape(-1, 2)
    cell = pieces[where[0, 0]].read(where[:1, 1])[0]
    rows = max(1, min(len(files), _CHUNK_BYTES // max(1, cell.nbytes)))
    with writing_to(path):
        array = create_array(path, (len(files), *cell.shape), (rows, *cell.shape), "float32")
        for start in range(0, len(files), rows):
            here = where[start : start + rows]
            block = np.empty((len(here), *cell.shape), np.float32)
            for piece, into, own in _runs(here):
                values = pieces[piece].read(own)
                if values.shape[1:] != cell.shape:
                    raise ValueError(f"Expected maps of {cell.shape}, but got {values.shape[1:]}")
                block[into] = values
            array[start : start + len(here)] = block


def _runs(
    where: NDArray[np.intp],
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Yield each piece once: its number, the rows of the block, and its own rows, rising."""
    order = np.lexsort((where[:, 1], where[:, 0]))
    starts = np.flatnonzero(np.diff(where[order, 0], prepend=-1))
    for group in np.split(order, starts[1:]):
        yield int(where[group[0], 0]), group, where[group, 1]
