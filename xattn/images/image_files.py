"""Which files are images: by an ending of which the decoder can read the format, or by content."""

from __future__ import annotations

import io
from pathlib import PurePath

from xattn.addresses.mirror import MIRROR
from xattn.errors import ImageError
from xattn.images.containers import HDF5, NPZ, read_content, split_member
from xattn.images.kinds import DOCUMENTS, SEEN, begins_as_image, endings
from xattn.images.npz import npy_header
from xattn.images.pixel_arrays import channel_axis
from xattn.images.pixel_arrays import is_image as are_pixels

_NPY = ".npy"


def is_image(path: str) -> bool:
    """Say whether a file, or a member of a container, is to be taken as an image.

    By its ending if that is one of `endings()`; else by its first bytes, so that a photo without
    an ending or with that of another program is taken. Raw files of cameras and slides of scanners
    begin as TIFF, and are read by it as the thumbnail they hold: TIFF is known by its ending, or
    if there is none.
    """
    ending = PurePath(path).suffix.lower()
    if ending in endings():
        return True
    if ending in DOCUMENTS and ending != _NPY:
        return False
    try:
        start = _start(path)
    except (OSError, ImageError):
        return False
    if ending == _NPY:
        return start is not None and _is_array_of_image(start)
    return start is None or begins_as_image(start, ending)


def _is_array_of_image(start: bytes) -> bool:
    """Say whether a .npy file holds one image, by the shape in its header.

    One of two dimensions may be a table too, unless it is of 8 or 16 bits.
    """
    try:
        shape, dtype = npy_header(io.BytesIO(start))
    except ValueError:  # no header, or a longer one than any image has
        return False
    if len(shape) == 2:
        return are_pixels(shape, dtype)
    return dtype.kind in "uif" and channel_axis(shape) is not None


def _start(path: str) -> bytes | None:
    """Return the first bytes of a file, or None for what lies as pixels in a file of arrays."""
    place = split_member(path)
    if place is None:
        begins = MIRROR.peek(path, SEEN)
        if begins is not None:  # a slide of gigabytes is not fetched to see that it is one
            return begins
        with open(path, "rb") as file:
            return file.read(SEEN)
    if PurePath(place[0]).suffix.lower() in (*HDF5, NPZ):
        return None  # its names are those of images already
    content = read_content(path)
    return content[:SEEN] if isinstance(content, bytes) else None
