"""Overlays of maps on images, in 8 bits and without a plotting library: the hot path.

A map is scaled by its own largest positive value, never shifted, so that 0 stays the colour of
nothing. A map that cannot be drawn (all zero, constant, NaN, all negative) is not stretched into
one: the image is shown grey, with the reason written on it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.addresses.outgoing import committed
from xattn.disk import writing_to
from xattn.errors import ImageError
from xattn.images.cells import Cells
from xattn.images.geometry import View

MAX_SIDE = 512
"""Longest side of an overlay in pixels; larger images are shown reduced."""


def degenerate(values: NDArray[np.float32]) -> str:
    """Say why a map (h, w) cannot be drawn: "nan", "zero", "constant", "negative"; "" if it can."""
    if not np.isfinite(values).all():
        return "nan"
    low, high = float(values.min()), float(values.max())
    if low == high:
        return "zero" if high == 0 else "constant"
    return "negative" if high <= 0 else ""


def thumbnail_size(width: int, height: int, max_side: int = MAX_SIDE) -> tuple[int, int]:
    """Return the (width, height) at which an image is shown: its longer side at most `max_side`."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def thumbnail(image: Image.Image, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return an RGB image as uint8 (H, W, 3), at `thumbnail_size` or another (width, height)."""
    size = size or thumbnail_size(*image.size)
    pixels = np.asarray(image)
    if size == image.size:
        return pixels
    # As good to the eye as Pillow's filters, and several times faster.
    way = cv2.INTER_AREA if image.width > 2 * size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=way), dtype=np.uint8)


def draw_overlay(
    image: NDArray[np.uint8],
    values: NDArray[np.float32],
    cells: Cells,
    view: View,
    image_size: tuple[int, int],
    strength: float = 0.5,
) -> NDArray[np.uint8]:
    """Blend a map over the part of the image that the model saw; what it did not see is dimmed.

    Args:
        image: uint8 (H, W, 3) RGB, at any scale of the upright original.
        values: the map (h, w) at its own resolution, unnormalised.
        cells: where its cells lie in the view.
        view: the region of the original that the map covers.
        image_size: (width, height) of the original that `view.box` refers to.
        strength: opacity of the map, 0 to 1.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    height, width = image.shape[:2]
    sx, sy = width / image_size[0], height / image_size[1]
    left, right = _span(view.box[0] * sx, view.box[2] * sx, width)
    top, bottom = _span(view.box[1] * sy, view.box[3] * sy, height)
    canvas = (image // 3).astype(np.uint8)
    seen = image[top:bottom, left:right]
    why = degenerate(values)
    if why:
        grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
        canvas[top:bottom, left:right] = grey[..., None]
        cv2.putText(canvas, f"no map: {why}", (left + 4, top + 16), cv2.FONT_HERSHEY_SIMPLEX,
                    0.45, (255, 255, 255), 1, cv2.LINE_AA)  # fmt: skip
        return canvas
    # Scaled before it is enlarged: linear interpolation never exceeds its ends.
    scaled = np.clip(values / values.max(), 0, 1).astype(np.float32)
    y = _in_view(np.arange(top, bottom), sy, view.box[1], view.box[3], view.height)
    x = _in_view(np.arange(left, right), sx, view.box[0], view.box[2], view.width)
    large = cells.at(scaled, y, x)
    levels = (large * 255 + 0.5).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    canvas[top:bottom, left:right] = cv2.addWeighted(seen, 1 - strength, colours, strength, 0)
    return canvas


def _span(low: float, high: float, n: int) -> tuple[int, int]:
    """Round an interval to pixels of n; at least one is left, however thin the image is."""
    first = min(round(low), n - 1)
    return first, max(min(round(high), n), first + 1)


def _in_view(
    pixels: NDArray[np.intp], scale: float, low: float, high: float, n: int
) -> NDArray[np.float64]:
    """Return where pixels of an overlay lie in the model's input of n pixels along one side.

    Args:
        pixels: their numbers.
        scale: pixels of the overlay for one of the original.
        low, high: what the model saw, in pixels of the original.
        n: pixels of the input.
    """
    centres = (pixels.astype(np.float64) + 0.5) / scale  # in the original
    places: NDArray[np.float64] = (centres - low) / (high - low) * n - 0.5
    return places


_FAST_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
]  # fmt: skip
"""No search for repetitions, which photographs do not have: half the time, and smaller files."""


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Encode an RGB image by the path's ending (.png, .jpg) and write it.

    Raises:
        DiskError: the disk does not take it.
    """
    options = _FAST_PNG if path.suffix == ".png" else []
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageError(f"Expected to encode {path}, but OpenCV failed")
    with writing_to(path):
        path.write_bytes(data.tobytes())
        committed(path)
