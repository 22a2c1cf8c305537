"""Colours of more than 8 bits a channel, of which Pillow keeps the upper 8: read by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xattn.images.levels import SIXTEEN_BIT
from xattn.images.orientation import turn_upright

_TIFF_BITS, _PNG_BITS = 258, 24  # a tag, and the place of a byte
_CODESTREAM, _DEPTH = b"\xff\x4f\xff\x51", 42  # of JPEG 2000: its start, and a byte after that
_AV1, _FLAGS = b"av1C", 6
_WHOLE = (*SIXTEEN_BIT, "I", "F")


def deep_bits(image: Image.Image, data: bytes) -> int:
    """Return the bits a channel of a file of which Pillow keeps the upper 8; 0 if it keeps all.

    Args:
        image: as Pillow opened it, not loaded yet.
        data: the whole file.
    """
    bits = 0 if image.mode in _WHOLE else _stored_bits(image, data)
    return bits if bits > 8 else 0


def _stored_bits(image: Image.Image, data: bytes) -> int:
    if isinstance(image, TiffImageFile):
        return max(map(int, image.tag_v2.get(_TIFF_BITS, (8,))))
    if image.format == "PNG":
        return data[_PNG_BITS]
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.format == "AVIF":
        flags = data[(data.find(_AV1) + _FLAGS) % len(data)] if _AV1 in data else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    if image.format == "JPEG2000":
        at = data.find(_CODESTREAM) + _DEPTH
        return (data[at] & 0x7F) + 1 if _DEPTH <= at < len(data) else 8
    tiles = image.tile if isinstance(image, ImageFile) else []
    if image.format == "PPM" and tiles and isinstance(tiles[0].args, tuple):
        return int(tiles[0].args[1]).bit_length()  # the largest value
    return 16 if any(";16" in str(tile.args) for tile in tiles) else 8


def read_deep_colour(
    data: bytes, size: tuple[int, int], orientation: int = 1
) -> NDArray[np.uint16] | None:
    """Return colours (h, w, 3) of 16 bits, upright and without alpha, or None if that fails.

    Args:
        data: the whole file, as PNG, TIFF, JPEG 2000 or PPM.
        size: (width, height), as stored or upright.
        orientation: EXIF orientation, 1 (as stored) to 8; 1 for a TIFF, which OpenCV turns itself.
    """
    import cv2  # takes its time

    try:
        found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if found is None or found.dtype != np.uint16 or sorted(found.shape[:2]) != sorted(size):
        return None
    # OpenCV's order is blue, green, red, alpha.
    grey = found.ndim == 2
    colours: NDArray[Any] = np.repeat(found[..., None], 3, axis=2) if grey else found[..., 2::-1]
    return turn_upright(colours, orientation)
