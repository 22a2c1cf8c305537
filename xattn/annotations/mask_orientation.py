"""Does a mask lie over its image: aspect ratios and EXIF orientations.

An image with an EXIF orientation is turned upright once, when it is read, and so is a mask file
that carries an orientation of its own. A mask without one was drawn either over the upright image
or over the pixels as they are stored. Where the shapes tell the two apart (orientations 5 to 8
swap width and height), they decide; else the mask is taken as upright.
"""

from __future__ import annotations

from typing import Literal

from xattn.annotations.headers import Header
from xattn.images.orientation import SWAPPED


def same_aspect_ratio(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    """Say whether two sizes are of one aspect ratio, up to a rounded pixel of the smaller one.

    >>> same_aspect_ratio((128, 85), (256, 171)), same_aspect_ratio((224, 224), (256, 171))
    (True, False)

    Args:
        mask, image: (width, height) in pixels.
    """
    # |w - W * h / H| <= 1 and its three variants, multiplied out.
    return abs(mask[0] * image[1] - mask[1] * image[0]) <= max(*mask, *image)


def drawn_over(mask: Header, image: Header) -> Literal["upright", "stored"] | None:
    """Say whether a mask lies over the upright image, over its stored pixels, or over neither."""
    if same_aspect_ratio(mask.size, image.size):
        return "upright"
    if mask.orientation == 1 and image.orientation in SWAPPED:
        return "stored" if same_aspect_ratio(mask.size, image.size[::-1]) else None
    return None
