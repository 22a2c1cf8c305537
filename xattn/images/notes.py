"""What is said of a decoded file: how it differed from plain 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.images.levels import CUT, SIXTEEN_BIT


def joined(*parts: str) -> str:
    """Return those of some notes that say something, as one."""
    return ", ".join(filter(None, parts))


def depth_in_words(values: NDArray[Any]) -> str:
    """Say how deep values are: "16-bit", "float"."""
    return f"{values.dtype.itemsize * 8}-bit" if values.dtype.kind != "f" else "float"


def array_note(values: NDArray[Any]) -> str:
    """Say of pixels that were stored as an array how deep they are."""
    shown = f", {depth_in_words(values)}" if values.dtype != np.uint8 else ""
    return f"pixels of an array{shown}"


def turn_in_words(orientation: int) -> str:
    """Say that an image was turned; "" if it was not."""
    return "" if orientation == 1 else "rotated by EXIF"


def describe(image: Image.Image, bits: int) -> str:
    """Say how an image that Pillow opened differs from 8-bit RGB; "" if it does not.

    Args:
        image: not loaded yet.
        bits: of a channel, if Pillow would keep 8 of them; else 0.
    """
    notes = [] if image.mode == "RGB" else [_mode_name(image.mode)]
    if bits:
        notes.append(f"{bits}-bit colour, {CUT}")
    if getattr(image, "is_animated", False):
        notes.append("animated, first frame")
    return ", ".join(notes)


def _mode_name(mode: str) -> str:
    if mode in SIXTEEN_BIT or mode == "I":
        return "16-bit grey"
    if mode == "F":
        return "float grey"
    names = {"L": "grey", "1": "1-bit", "P": "palette", "RGBA": "alpha", "LA": "grey with alpha"}
    return names.get(mode, mode)
