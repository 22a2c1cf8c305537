"""The pixels of images of any depth: the one rule by which files, arrays and PIL images go.

An image is of 8 bits, or it is deep. Both have one scale, 0 (black) to 255 (white): an 8-bit image
holds its bytes, a deep one float32 that is not rounded. So what divides by 255, clips at 255 or
paints in a colour works for both, and a network sees all that the file holds.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Window = tuple[float, float] | Literal["auto"] | None
"""Values shown as black and as white, of images deeper than 8 bits: None takes all 16 bits, "auto"
what each image holds."""

Deep: TypeAlias = NDArray[np.float32]
"""Grey (height, width) or colours (height, width, 3), 0 to 255, not rounded."""
Pixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"
"""An image (height, width, 3), 0 to 255: uint8, or float32, not rounded, if it is deep."""

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_DEEP = (*SIXTEEN_BIT, "I", "F")
_PLAIN = ("RGB", "L", "1", "P", "RGBA", "LA", "PA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")

NARROW = "narrow range"
"""Words of the note on an image that uses a small part of its 16 bits."""
CUT = "cut to 8 bits"
"""Words of the note on an image that is not read in its full depth."""
_FEW_BITS = 14
_COLOURS = 3


class LevelError(ValueError):
    """The pixels are of no depth that can be shown; the message has no file in it."""


def to_levels(
    image: Image.Image | NDArray[Any], window: Window = None
) -> tuple[Image.Image | Deep, str]:
    """Return a loaded image, or values (h, w) or (h, w, 3), at its depth, and a note on its levels.

    Those of 8 bits become 8-bit RGB, deeper ones `Deep`. Plain RGB comes back as it is, no copy.
    Alpha is dropped and palettes, CMYK and 8-bit grey are converted as torchvision's loader does
    it. Deeper levels are scaled: 16 bits by 1/257, or, with a window, from black at its low end to
    white at its high end. Integers beyond 16 bits and floats need a window.

    Raises:
        LevelError: the image is of a mode or range that cannot be shown.
    """
    if not isinstance(image, Image.Image):
        if image.dtype == np.uint8:
            return Image.fromarray(image).convert("RGB"), ""
        return _levels(image, window)
    if image.mode in _DEEP:
        return _levels(np.asarray(image), window)
    if image.mode not in _PLAIN:
        raise LevelError(f"Expected 8- or 16-bit pixels, but got mode {image.mode}")
    if "transparency" in image.info:  # alpha is dropped; Pillow would warn of it
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB"), ""


def in_8_bits(levels: Image.Image | Pixels) -> Image.Image:
    """Return what `to_levels` gives as an 8-bit RGB image, rounded, for people to look at."""
    if isinstance(levels, Image.Image):
        return levels
    return Image.fromarray(like(levels, np.uint8)).convert("RGB")


def in_colours(levels: Image.Image | Deep) -> Pixels:
    """Return what `to_levels` gives as (height, width, 3), at its depth."""
    if isinstance(levels, Image.Image):
        return np.asarray(levels)
    return levels if levels.ndim == 3 else np.stack([levels] * _COLOURS, axis=-1)


def like(values: NDArray[Any], dtype: np.dtype[Any] | type) -> Pixels:
    """Return values of 0 to 255 at the depth of other pixels: rounded to uint8, or float32.

    Args:
        values: of any shape and type; what lies beyond 0 to 255 is clipped.
        dtype: of the other pixels.
    """
    if np.dtype(dtype) == np.uint8:
        return _rounded(values)
    return np.asarray(np.clip(values, 0, 255), dtype=np.float32)


def _rounded(values: NDArray[Any]) -> NDArray[np.uint8]:
    whole = values if values.dtype == np.uint8 else np.rint(np.clip(values, 0, 255))
    return np.asarray(whole, dtype=np.uint8)


def _levels(values: NDArray[Any], window: Window) -> tuple[Image.Image | Deep, str]:
    values = values[..., :_COLOURS] if values.ndim == 3 else values
    if not values.size:
        return values.astype(np.float32), ""
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
        return values.astype(np.float32) / np.float32(257), _narrow(low, high)
    black, white = (low, high) if window == "auto" else window
    shown = "auto" if window == "auto" else f"{black:g} to {white:g}"
    return stretched(values, black, white), f"window {shown}"


def stretched(values: NDArray[Any], black: float, white: float) -> Image.Image | Deep:
    """Return values (h, w) or (h, w, 3), from 0 at black to 255 at white.

    What lies beyond is clipped. Whole numbers in a range of 255, which 8 bits hold, become an
    8-bit RGB image.
    """
    if white - black == 255 and _whole(values) and black == round(black):
        return Image.fromarray(_rounded(values.astype(np.float64) - black)).convert("RGB")
    scaled = (values.astype(np.float64) - black) / max(white - black, np.finfo(float).tiny)
    return np.asarray(np.clip(scaled, 0, 1) * 255, dtype=np.float32)


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iu" or bool((values == np.rint(values)).all())


def _narrow(low: float, high: float) -> str:
    """Say so if an image, as those of 12 bits do, uses a small part of its 16."""
    used = int(high).bit_length()
    if 0 < used <= _FEW_BITS:
        return f"{NARROW} of {used} bits"
    span = int(high - low).bit_length()
    return f"{NARROW} of {span} bits" if 0 < span <= _FEW_BITS else ""
