"""Stacks of images in a .npz file of numpy, such as those of MedMNIST."""

from __future__ import annotations

import math
import threading
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xattn.images.pixel_arrays import are_images, as_image

_ENDING = ".npy"


class Npz:
    """A .npz file, of whose arrays those that are stacks of images are read: `train_images/00017`.

    An array is unpacked as a whole at its first image and kept until another one is asked for.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: tuple[str, NDArray[Any]] | None = None
        with zipfile.ZipFile(path) as archive:
            entries = [info for info in archive.infolist() if info.filename.endswith(_ENDING)]
            found = {info: _shape(archive, info.filename) for info in entries}
        self._lengths = {
            info.filename.removesuffix(_ENDING): shape[0]
            for info, (shape, kind) in found.items()
            # A header may say more rows than there are bytes.
            if are_images(shape, kind) and math.prod(shape) * kind.itemsize <= info.file_size
        }

    def names(self) -> list[str]:
        """Return the images, by the names of their arrays and the rows in them."""
        return [
            f"{key}/{row:0{len(str(n - 1))}}"
            for key, n in self._lengths.items()
            for row in range(n)
        ]

    def has(self, name: str) -> bool:
        """Say whether there is such an image."""
        key, _, row = name.rpartition("/")
        return row.isdecimal() and int(row) < self._lengths.get(key, 0)

    def read(self, name: str) -> NDArray[Any]:
        """Read one image.

        Raises:
            KeyError: there is none of that name.
        """
        if not self.has(name):
            raise KeyError(name)
        key, _, row = name.rpartition("/")
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = None  # before the next one takes its memory
                with np.load(self._path) as arrays:
                    self._kept = key, arrays[key]
            return as_image(self._kept[1][int(row)])


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of an array, of which its header is read alone."""
    with archive.open(name) as file:
        return npy_header(file)


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type of the array of a .npy file, of which the header is read alone.

    Raises:
        ValueError: it is none.
    """
    version = np.lib.format.read_magic(file)
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return tuple(shape), dtype
