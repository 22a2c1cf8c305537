"""From images of any depth to 8-bit RGB: the one rule by which files, arrays and PIL images go."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Window = tuple[float, float] | Literal["auto"] | None
"""Values shown as black and as white, of images deeper than 8 bits: None takes all 16 bits, "auto"
what each image holds."""

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_DEEP = (*SIXTEEN_BIT, "I", "F")
_PLAIN = ("RGB", "L", "1", "P", "RGBA", "LA", "PA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")

NARROW = "narrow range"
"""Words of the note on an image that uses a small part of its 16 bits."""
_FEW_BITS = 14


class LevelError(ValueError):
    """The pixels are of no depth that can be shown; the message has no file in it."""


def to_rgb(image: Image.Image | NDArray[Any], window: Window = None) -> tuple[Image.Image, str]:
    """Return a loaded image, or values (h, w) or (h, w, 3), as 8-bit RGB, and a note on its levels.

    Plain RGB comes back as it is, no copy. Alpha is dropped and palettes, CMYK and grey are
    converted as torchvision's loader does it. Deeper levels are scaled, not clipped: 16 bits by
    1/257, or, with a window, from black at its low end to white at its high end. Integers beyond
    16 bits and floats need a window.

    Raises:
        LevelError: the image is of a mode or range that cannot be shown.
    """
    if not isinstance(image, Image.Image):
        if image.dtype == np.uint8:
            return Image.fromarray(image).convert("RGB"), ""
        levels, note = _levels(image, window)
        return Image.fromarray(levels).convert("RGB"), note
    if image.mode in _DEEP:
        levels, note = _levels(np.asarray(image), window)
        return Image.fromarray(levels).convert("RGB"), note
    if image.mode not in _PLAIN:
        raise LevelError(f"Expected 8- or 16-bit pixels, but got mode {image.mode}")
    if "transparency" in image.info:  # alpha is dropped; Pillow would warn of it
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB"), ""


def _levels(values: NDArray[Any], window: Window) -> tuple[NDArray[np.uint8], str]:
    if not values.size:
        return values.astype(np.uint8), ""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise LevelError("Expected finite pixels, but got NaN or infinity")
    if window is None:
        if values.dtype.kind == "f":
            raise LevelError(
                f"Expected 8- or 16-bit pixels, but got mode F with values {low:g} to {high:g}"
                "; say with --window what is black and white"
            )
        if low < 0 or high > 65535:
            raise LevelError(
                f"Expected 8- or 16-bit pixels, but got values {low:.0f} to {high:.0f}; say with "
                "--window what is black and white"
            )
        return ((values.astype(np.int64) + 128) // 257).astype(np.uint8), _narrow(low, high)
    black, white = (low, high) if window == "auto" else window
    shown = "auto" if window == "auto" else f"{black:g} to {white:g}"
    return stretched(values, black, white), f"window {shown}"


def stretched(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """Return values as 8 bits, from black at one of them to white at another."""
    scaled = (values.astype(np.float64) - black) / max(white - black, np.finfo(float).tiny)
    return np.asarray(np.rint(np.clip(scaled, 0, 1) * 255), dtype=np.uint8)


def _narrow(low: float, high: float) -> str:
    """Say so if an image, as those of 12 bits do, uses a small part of its 16."""
    used = int(high).bit_length()
    if 0 < used <= _FEW_BITS:
        return f"{NARROW} of {used} bits"
    span = int(high - low).bit_length()
    return f"{NARROW} of {span} bits" if 0 < span <= _FEW_BITS else ""
