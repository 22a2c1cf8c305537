"""Images in an HDF5 file: encoded ones, a data set each (ISIC 2024), or arrays of pixels (PCam)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError
from xattn.images.kinds import begins_as_image
from xattn.images.pixel_arrays import are_images, as_image, is_image

_ALIKE = 1000
"""Members of one group beyond which the first one tells what all are."""
_WORDS = frozenset({"x", "image", "images", "img", "imgs", "data", "pixels", "patches"})


class Hdf5:
    """An HDF5 file whose data sets are images.

    A data set is one image: encoded (bytes, or uint8 in one dimension), or its pixels (h, w) and
    (h, w, c). Or it is a stack of them, (n, h, w), (n, h, w, c), (n, c, h, w) or n encoded ones:
    then the member goes on with the row, `x/000017`.
    """

    def __init__(self, path: str) -> None:
        try:
            import h5py
        except ImportError:
            raise ImageError(
                f"Expected h5py to read the images in {path}, but it is not installed; "
                "pip install 'xattn[hdf5]'"
            ) from None
        self._path = path
        self._h5py = h5py
        self._file = h5py.File(path, "r")

    def names(self) -> list[str]:
        """Return the images, by the paths of their data sets and the rows in stacks."""
        return list(self._names(self._file, ""))

    def has(self, name: str) -> bool:
        """Say whether there is such an image."""
        try:
            self._find(name)
        except KeyError:
            return False
        return True

    def read(self, name: str) -> bytes | NDArray[Any]:
        """Read one image.

        Raises:
            KeyError: there is none of that name.
        """
        data, row = self._find(name)
        value = data[()] if row is None else data[row]
        if isinstance(value, bytes | np.void) or getattr(value, "ndim", 0) == 1:
            return _encoded(value)
        return as_image(np.asarray(value))

    def _find(self, name: str) -> tuple[Any, int | None]:
        """Return the data set of a member, and its row of a stack."""
        found = self._file.get(name)
        if isinstance(found, self._h5py.Dataset) and not _is_stack(found):
            return found, None
        folder, _, last = name.rpartition("/")
        found = self._file.get(folder) if folder and last.isdecimal() else None
        if isinstance(found, self._h5py.Dataset) and _is_stack(found) and int(last) < len(found):
            return found, int(last)
        raise KeyError(name)

    def _names(self, group: Any, before: str) -> Iterator[str]:
        keys = list(group)
        alike = len(keys) > _ALIKE and self._is_encoded(group[keys[0]])
        for key in keys:
            name = f"{before}{key}"
            if alike:
                yield name
                continue
            one = group[key]
            if isinstance(one, self._h5py.Group):
                yield from self._names(one, f"{name}/")
            elif _is_stack(one):
                width = len(str(len(one) - 1))
                yield from (f"{name}/{row:0{width}}" for row in range(len(one)))
            elif self._is_encoded(one) or is_image(one.shape, one.dtype):
                yield name

    def _is_encoded(self, data: Any) -> bool:
        if not isinstance(data, self._h5py.Dataset):
            return False
        if data.shape == () and data.dtype.kind in "OSV":
            return begins_as_image(_encoded(data[()]))
        return bool(
            data.ndim == 1 and data.dtype == np.uint8 and begins_as_image(data[:132].tobytes())
        )


def _encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else np.asarray(value).tobytes()


def _is_stack(data: Any) -> bool:
    """Say whether a data set holds several images, a row each."""
    if data.ndim == 1:
        name = data.name.rpartition("/")[2].lower()
        return data.dtype.kind in "OSV" and name in _WORDS
    return are_images(data.shape, data.dtype)
