"""Edits of images (height, width, channels) under masks (height, width); each makes a new one.

An edit keeps the image's depth: what it makes of 8 bits is rounded to 8 bits, see
`xattn.images.levels`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.images.levels import Pixels, like

Mask = NDArray[np.bool_]

_MARGIN = 2
_RADIUS = 3.0
_FEATHER = 1.0


def widened(mask: Mask, pixels: int = _MARGIN) -> Mask:
    """Grow a mask by some pixels: outlines drawn by hand or resized miss the feature's border.

    Args:
        mask: (height, width).
        pixels: by how many.

    Returns:
        (height, width).
    """
    size = 2 * pixels + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def inpainted(image: Pixels, mask: Mask) -> Pixels:
    """Fill the widened mask from what surrounds it (Telea 2004, as in OpenCV).

    Fills are smooth: inside a large mask the texture of skin is lost, in the control too.

    Args:
        image: (height, width, channels).
        mask: (height, width), what is filled.

    Returns:
        As `image`.

    Raises:
        ValueError: the mask covers all.
    """
    hole = widened(mask).astype(np.uint8)
    if hole.all():
        raise ValueError("Expected some of the image outside the mask, but it covers all")
    if image.dtype == np.uint8 and image.shape[2] in (1, 3):
        filled = cv2.inpaint(image, hole, _RADIUS, cv2.INPAINT_TELEA).reshape(image.shape)
    else:  # OpenCV fills one channel of floats, and no other number of bytes
        channels = [np.ascontiguousarray(channel) for channel in np.moveaxis(image, -1, 0)]
        parts = [cv2.inpaint(one, hole, _RADIUS, cv2.INPAINT_TELEA) for one in channels]
        filled = np.stack(parts, axis=-1)
    return like(filled, image.dtype)


def pasted(image: Pixels, donor: Pixels, mask: Mask) -> Pixels:
    """Lay a donor's pixels over the image inside the mask, its border blended over some pixels.

    Args:
        image, donor: (height, width, channels).
        mask: (height, width), what is taken from the donor.

    Returns:
        As `image`.
    """
    weight = cv2.GaussianBlur(widened(mask, 1).astype(np.float32), (0, 0), _FEATHER)[..., None]
    mixed = image * (1 - weight) + donor * weight
    return like(mixed, image.dtype)


def occluded(image: Pixels, mask: Mask, colour: NDArray[np.floating]) -> Pixels:
    """Paint the mask in one colour (channels,), 0 to 255.

    Args:
        image: (height, width, channels).
        mask: (height, width), what is painted.
        colour: (channels,), 0 to 255.

    Returns:
        As `image`.
    """
    result = image.copy()
    result[mask] = like(colour, image.dtype)
    return result


def shift_to_free(
    mask: Mask, free: Mask, rng: np.random.Generator, most_overlap: float = 0.05
) -> tuple[int, int] | None:
    """Find where else in the image an equal patch fits: (rows, columns) to move the mask by.

    One of the places at which least of the patch lies outside `free`, at random; none if that is
    more than `most_overlap` of it. The patch stays whole inside the image.

    Args:
        mask: the patch as it lies, not empty.
        free: where it may go, such as plain skin.
        rng: chooses among places that are equally good.
        most_overlap: largest fraction of the patch that may lie elsewhere.

    Returns:
        Rows and columns to move the mask by; None if there is no room.
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(cols[0])
    patch = mask[top : rows[-1] + 1, left : cols[-1] + 1].astype(np.float32)
    taken = (~free).astype(np.float32)
    overlap = np.rint(cv2.matchTemplate(taken, patch, cv2.TM_CCORR))
    best = np.argwhere(overlap <= overlap.min())
    row, col = best[rng.integers(len(best))]
    if overlap.min() > most_overlap * patch.sum():
        return None
    return int(row) - top, int(col) - left


def moved(array: NDArray[np.generic], shift: tuple[int, int]) -> NDArray[np.generic]:
    """Move a mask or image by (rows, columns); what leaves on one side enters on the other.

    Args:
        array: (height, width, ...).
        shift: rows and columns.

    Returns:
        As `array`.
    """
    return np.roll(array, shift, axis=(0, 1))
