"""What is inside a mask, of all the forms in which tools write masks.

Levels (8, 16 or 32 bits, floats) are inside above half of their range, so that masks that were
resized or compressed keep their outline; the range is told by the largest value, 1, 255 or 65535.
Palettes count by index, transparency by alpha, colours by there being one beside the background. A
mask with something in it that no such rule puts inside is an error: read as empty, it would say
that there is nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]

_WAY_OUT = "write it as 0 outside and 255 inside"
_ONE_EACH = "write a mask for each of them, 0 outside and 255 inside"
_LARGEST = (1.0, 255.0, 65535.0)
"""Values that stand for all of a pixel."""
_LABELS = 32
"""A file of values below this, and of 255 for what is not decided, is a label map."""
_ALIKE = 0.25
"""How far colours of one hue lie apart, each divided by its brightest channel."""
_DARKEST = 64
"""Brightness of the darkest colour that is one."""
_STRAY = {False: 0.001, True: 0.1}
"""Part of the bright pixels that may be of another hue; of a lossy file, its edges are."""
_ONE_COLOUR = 32


class MaskError(ValueError):
    """The pixels do not say what is inside; the message has no file in it."""


def inside(image: Image.Image, lossy: bool = False) -> Mask:
    """Return what is inside a mask: booleans (height, width).

    Args:
        image: loaded, of any mode, with its transparency.
        lossy: compression has added levels and colours of its own (JPEG).

    Raises:
        MaskError: the pixels do not say it.
    """
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _of_alpha(np.asarray(image.convert("RGBA")), lossy)
    if image.mode == "P":
        return _of_palette(image, lossy)
    if image.mode == "1":
        return np.asarray(image, dtype=np.bool_)
    if image.mode == "L" or image.mode == "F" or image.mode.startswith("I"):
        return _of_levels(np.asarray(image), lossy)
    return _of_colours(np.asarray(image.convert("RGB")), lossy)


def _of_levels(values: NDArray[Any], lossy: bool) -> Mask:
    if not values.size:
        return np.zeros(values.shape, dtype=np.bool_)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= _LARGEST[-1]):  # NaN is neither
        raise MaskError(f"Expected values of 0 to 65535, but got {low:g} to {high:g}; {_WAY_OUT}")
    largest = next(value for value in _LARGEST if high <= value)
    # Of whole numbers, 0 and 1 are all there is up to 1.
    found = values > largest / 2 if largest == 1 else values > largest // 2
    if found.any() or high == 0:
        _refuse_labels(values, found, lossy)
        return np.asarray(found, dtype=np.bool_)
    several = np.unique(values)
    shown = ", ".join(f"{value:g}" for value in several[:6]) if len(several) <= 6 else None
    what = f"the values {shown}" if shown else f"none above {high:g}"
    raise MaskError(
        f"Expected a mask with pixels above half of its range ({largest / 2:g}), but got {what} "
        f"({int((values > 0).sum()):,} pixels above 0); {_WAY_OUT}"
    )


def _refuse_labels(values: NDArray[Any], found: Mask, lossy: bool) -> None:
    """Refuse a label map with a mark of 255 for pixels that are not decided."""
    if lossy or values.dtype.kind == "f" or not ((values > 0) & ~found).any():
        return
    labels = np.unique(values[values > 0])
    if labels[-1] == _LARGEST[1] and (labels[:-1] < _LABELS).all():
        shown = ", ".join(str(label) for label in labels[:6])
        raise MaskError(f"Expected one mask, but got a map of the labels {shown}; {_ONE_EACH}")


def _of_alpha(pixels: NDArray[np.uint8], lossy: bool) -> Mask:
    """Tell whether the alpha channel or the colours under it are the mask."""
    colours, alpha = pixels[..., :3], pixels[..., 3]
    low, high = alpha.min(initial=255), alpha.max(initial=0)
    if low == high and high > 0:
        return _of_colours(colours, lossy)
    if high <= _LARGEST[1] // 2:
        if high == 0 and not _spread(colours.reshape(-1, 3)):
            return np.zeros(alpha.shape, dtype=np.bool_)  # nothing was drawn
        raise MaskError(
            f"Expected a mask in the alpha channel, but got none above {high} of 255; {_WAY_OUT}"
        )
    opaque: Mask = alpha > _LARGEST[1] // 2
    if _spread(colours[opaque]) <= _ONE_COLOUR:
        return opaque
    over_black = (colours.astype(np.uint16) * alpha[..., None] // 255).astype(np.uint8)
    return _of_colours(over_black, lossy)


def _of_palette(image: Image.Image, lossy: bool) -> Mask:
    """Read indices; where the palette is one of greys, it stands for levels."""
    indices = np.asarray(image)
    palette = np.zeros((256, 3), dtype=np.uint8)
    stored = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    colours = palette[used]
    if len(used) > 1 and not _spread(colours):  # hardly a palette
        return _of_levels(indices, lossy)
    if (colours == colours[:, :1]).all():
        return _of_levels(palette[indices, 0], lossy)
    black, white = (colours == 0).all(axis=1), (colours == 255).all(axis=1)
    background = black if black.any() else white if white.any() else used == 0
    drawn = used[~background]
    if len(np.unique(palette[drawn], axis=0)) <= 1:
        return np.isin(indices, drawn)
    try:
        return _of_colours(palette[indices], lossy)
    except MaskError:
        shown = ", ".join(map(str, drawn[:6])) + (", ..." if len(drawn) > 6 else "")
        raise MaskError(
            f"Expected one mask, but got a map of the labels {shown} of a palette; {_ONE_EACH}"
        ) from None


def _of_colours(colours: NDArray[np.uint8], lossy: bool) -> Mask:
    """Read one colour beside black or white; greys are levels."""
    # Channel by channel: numpy is ten times slower along a last axis of three.
    red, green, blue = (colours[..., i] for i in range(3))
    brightest = np.maximum(np.maximum(red, green), blue)
    grey = brightest - np.minimum(np.minimum(red, green), blue)
    if not colours.size or grey.max() <= (_ONE_COLOUR if lossy else 0):
        mean = (red.astype(np.uint16) + green + blue + 1) // 3
        return _of_levels(mean.astype(np.uint8), lossy)
    if brightest.max() < _DARKEST:
        return _of_levels(brightest, lossy)
    bright: Mask = brightest > brightest.max() // 2  # of dark red, half of dark red
    if bright.all():  # drawn on white, or everywhere
        if _spread(colours.reshape(-1, 3)) <= _ONE_COLOUR:
            return bright
        pure: Mask = grey > _LARGEST[1] // 2
        if not _one_hue(colours[pure], lossy) or colours[~pure].min(initial=255) < 128:
            raise _several(colours)
        return pure
    if not _one_hue(colours[bright], lossy):
        raise _several(colours)
    return bright


def _one_hue(colours: NDArray[np.uint8], lossy: bool) -> bool:
    if not len(colours):
        return False
    hue = colours / colours.max(axis=1, keepdims=True)
    away = np.abs(hue - np.median(hue, axis=0)).max(axis=1) > _ALIKE
    return bool(away.mean() <= _STRAY[lossy])


def _several(colours: NDArray[np.uint8]) -> MaskError:
    _, counts = np.unique(colours.reshape(-1, 3) // 64 * 64, axis=0, return_counts=True)
    n = int((counts > counts.sum() / 1000).sum())
    return MaskError(
        f"Expected a mask of one colour on black or white, but got about {n} colours; {_ONE_EACH}"
        if n <= _LABELS
        else f"Expected a mask, but got an image of many colours; {_WAY_OUT}"
    )


def _spread(colours: NDArray[np.uint8]) -> int:
    """Return the widest range of a channel, of colours (n, 3)."""
    return max(int(np.ptp(channel)) for channel in colours.T) if len(colours) else 0
