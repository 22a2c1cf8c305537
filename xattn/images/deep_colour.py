"""Colours of 16 bits a channel, of which Pillow keeps the upper 8: read whole, by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.images.orientation import turn_upright


def read_deep_colour(
    data: bytes, size: tuple[int, int], orientation: int = 1
) -> NDArray[np.uint16] | None:
    """Return colours (h, w, 3) of 16 bits, upright and without alpha, or None if that fails.

    Args:
        data: the whole file, as PNG or TIFF.
        size: (width, height) as stored; a decoder that finds another has turned the image itself.
        orientation: EXIF orientation, 1 (as stored) to 8.
    """
    import cv2  # takes its time

    try:
        found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if found is None or found.dtype != np.uint16 or found.shape[1::-1] != size:
        return None
    # OpenCV's order is blue, green, red, alpha.
    grey = found.ndim == 2
    colours: NDArray[Any] = np.repeat(found[..., None], 3, axis=2) if grey else found[..., 2::-1]
    return turn_upright(colours, orientation)
