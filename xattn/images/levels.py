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

Pixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"
"""An image (height, width, channels), 0 to 255: uint8, or float32, not rounded, if it is deep."""
Levels: TypeAlias = "Image.Image | Pixels"
"""An image as it was decoded: 8-bit RGB as Pillow holds it; deep grey (height, width) or colours
(height, width, 3); or any other number of channels (height, width, channels)."""

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


def to_levels(image: Image.Image | NDArray[Any], window: Window = None) -> tuple[Levels, str]:
    """Return a loaded image, or values (h, w) or (h, w, 3), at its depth, and a note on its levels.

    Those of 8 bits become 8-bit RGB, deeper ones float32. Plain RGB comes back as it is, no copy.
    Alpha is dropped and palettes, CMYK and 8-bit grey are converted as torchvision's loader does
    it. Deeper levels are scaled: 16 bits by 1/257, or, with a window, from black at its low end to
    white at its high end. Integers beyond 16 bits and floats need a window.

    Raises:
        LevelError: the image is of a mode or range that cannot be shown.
    """
    if not isinstance(image, Image.Image):
        if image.dtype == np.uint8:
            return Image.fromarray(image).convert("RGB"), ""
        return _as_levels(*_scaled(image[..., :_COLOURS] if image.ndim == 3 else image, window))
    if image.mode in _DEEP:
        return _as_levels(*_scaled(np.asarray(image), window))
    if image.mode not in _PLAIN:
        raise LevelError(f"Expected 8- or 16-bit pixels, but got mode {image.mode}")
    if "transparency" in image.info:  # alpha is dropped; Pillow would warn of it
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB"), ""


def channels_to_levels(values: NDArray[Any], window: Window = None) -> tuple[Pixels, str]:
    """Return values (h, w, channels) of any number of channels at their depth, and a note.

    Raises:
        LevelError: as `to_levels`; a window holds for all channels.
    """
    return (values, "") if values.dtype == np.uint8 else _scaled(values, window)


def in_8_bits(levels: Levels) -> Image.Image:
    """Return an image in 8-bit RGB, rounded, for people to look at; see `in_colours`."""
    if isinstance(levels, Image.Image):
        return levels
    if levels.ndim == 2:  # rounded once, not three times
        return Image.fromarray(_rounded(levels)).convert("RGB")
    return Image.fromarray(_rounded(in_colours(levels)))


def in_colours(levels: Levels) -> Pixels:
    """Return an image as colours (height, width, 3), at its depth.

    Of more than three channels the first three stand for red, green and blue; of two, the first
    is shown in grey.
    """
    if isinstance(levels, Image.Image):
        return np.asarray(levels)
    if levels.ndim == 3 and levels.shape[2] >= _COLOURS:
        return levels[..., :_COLOURS]
    grey = levels if levels.ndim == 2 else levels[..., 0]
    return like(np.stack([grey] * _COLOURS, axis=-1), levels.dtype)


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
    if values.dtype == np.uint8:
        return values
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def as_levels(values: Pixels) -> Levels:
    """Return grey (h, w) or colours (h, w, 3) as levels: 8 bits as an RGB image."""
    return Image.fromarray(values).convert("RGB") if values.dtype == np.uint8 else values


def _as_levels(values: Pixels, note: str) -> tuple[Levels, str]:
    return as_levels(values), note


def _scaled(values: NDArray[Any], window: Window) -> tuple[Pixels, str]:
    if not values.size:
        return values.astype(np.float32), ""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise LevelError("Expected finite pixels, but got NaN or infinity")
    if window is None:
        if values.dtype.kind == "f":
            raise LevelError(
                f"Expected 8- or 16-bit pixels, but got floats of {low:g} to {high:g}"
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


def stretched(values: NDArray[Any], black: float, white: float) -> Pixels:
    """Return values from 0 at black to 255 at white, float32; what lies beyond is clipped.

    Whole numbers in a range of 255, which 8 bits hold, become uint8.
    """
    if white - black == 255 and _whole(values) and black == round(black):
        return _rounded(values.astype(np.float64) - black)
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
