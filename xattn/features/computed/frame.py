"""Images at their own aspect ratio and a bounded size, where shapes and colours are measured.

A model's view may squash the image: a round lesion becomes an ellipse there. And border length
depends on resolution, so that all images are brought down to one.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from xattn.images import View, read_image
from xattn.images.channels import COLOURS
from xattn.images.levels import Pixels, Window, in_colours, like

SIDE = 256
"""Long side of the frame (pixels). Smaller images are left as they are."""


def frame_size(size: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Return (width, height) of the frame of an image of `size` (width, height).

    >>> frame_size((1024, 768)), frame_size((200, 100))
    ((256, 192), (200, 100))

    Args:
        size: (width, height) of the image, in pixels.
        side: longest that a side of the frame may be.
    """
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def whole_image(size: tuple[int, int], side: int = SIDE) -> View:
    """Return the view of a whole image of `size` (width, height) in its frame.

    Args:
        size: (width, height) of the image, in pixels.
        side: longest that a side of the frame may be.
    """
    width, height = frame_size(size, side)
    return View((0, 0, size[0], size[1]), height, width)


def read_framed(
    path: str | Path, side: int = SIDE, window: Window = None, channels: int = COLOURS
) -> tuple[Pixels, tuple[int, int]]:
    """Decode one image upright into its frame.

    Of another number of channels the colours are those that are shown, see `in_colours`. Large
    JPEG files are decoded at a reduced scale, of at least twice the frame.

    Returns:
        RGB (height, width, 3), 0 to 255 at its depth, and (width, height) of the upright original.

    Raises:
        ImageError: the file cannot be read.
    """
    decoded = read_image(
        path, enough=lambda w, h: frame_size((w, h), 2 * side), window=window, channels=channels
    )
    pixels, size = in_colours(decoded.levels), frame_size(decoded.size, side)
    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = like(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), pixels.dtype)
    return pixels, decoded.size
