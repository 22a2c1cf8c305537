"""Arrays of a run folder: each chunk has a checksum and is there, or the array is refused by name.

zarr takes a chunk that is missing for zeros, and without checksums values for others: so all
chunks are written, also those of zeros alone, each with its CRC32C.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from xattn.errors import RunError, one_line


def create_array(
    path: Path,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: Literal["float32", "bool"],
    compressor: BloscCodec | ZstdCodec | None = None,
) -> zarr.Array[Any]:
    """Make an array to write into, in whole chunks along its first axis."""
    return zarr.create_array(
        path,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressors=[compressor or ZstdCodec(level=0), Crc32cCodec()],
        config={"write_empty_chunks": True},
    )


class StoredArray:
    """An array on disk, to read.

    Args:
        path: its folder.
        way_out: for the message if it is damaged.

    Raises:
        RunError: it is not there, or damaged; so does all that reads it.
    """

    def __init__(self, path: Path, way_out: str) -> None:
        self.path, self._way_out = path, way_out
        with self._named():
            self._array = zarr.open_array(path, mode="r")
            self.shape: tuple[int, ...] = self._array.shape
            self.chunks: tuple[int, ...] = self._array.chunks
            missing = self._missing() if self.checked else 0
        if missing:
            raise RunError(f"Expected all chunks of {path}, but {missing} are missing; {way_out}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Read what slices or an index along the first axis name."""
        with self._named():
            return np.asarray(self._array[rows])

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Read some rows, each chunk once."""
        with self._named():
            return np.asarray(self._array.oindex[rows])

    def check(self) -> None:
        """Read everything, a chunk at a time."""
        for start in range(0, len(self), self.chunks[0]):
            self[start : start + self.chunks[0]]

    @property
    def checked(self) -> bool:
        """Whether its chunks have checksums; those of earlier versions have none."""
        return any(isinstance(codec, Crc32cCodec) for codec in self._array.compressors)

    def _missing(self) -> int:
        grid = (-(-size // chunk) for size, chunk in zip(self.shape, self.chunks, strict=True))
        there = sum(
            1 for file in (self.path / "c").rglob("*") if file.name[:1] != "." and file.is_file()
        )
        return prod(grid) - there

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except Exception as err:  # zarr and its codecs raise anything on bytes that are not theirs
            raise RunError(
                f"Expected an array in {self.path}, but it is damaged: {one_line(err)[:200]}; "
                f"{self._way_out}"
            ) from err
