"""Maps and images put together in numpy, the same for figures and report.

A map is shown as its positive part over its own maximum, which is what the alignment scores
weigh. A map without a positive part has no such image: it is named and hatched, never
stretched until noise or nothing looks like attention.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from xattn.figures.style import MAP_COLOURS
from xattn.images import Cells
from xattn.images.overlay import degenerate

_DEFECTS = {
    "": "",
    "nan": "NaN or infinite",
    "zero": "all zero",
    "constant": "constant",
    "negative": "nothing positive",
}


def defect(native: NDArray[np.float32]) -> str:
    """Say in words why a map (h, w) cannot be shown; "" for a map that can."""
    return _DEFECTS[degenerate(native)]


def scaled(
    native: NDArray[np.float32], cells: Cells, height: int, width: int
) -> NDArray[np.float64]:
    """Bring a map (h, w) to height x width pixels of its view: its positive part over its maximum.

    Cut at the map's own resolution and then enlarged from where its cells lie, as the alignment
    scores do. The map must have no `defect`. Values are 0 to 1.
    """
    rows, columns = cells.matrices(height, width)
    fraction = np.clip(native / native.max(), 0, 1).astype(np.float64)
    result: NDArray[np.float64] = np.clip(rows @ fraction @ columns.T, 0, 1)
    return result


def blocks(
    native: NDArray[np.float32], cells: Cells, height: int, width: int
) -> NDArray[np.float64]:
    """Show a map as `scaled` does, each pixel the value of the cell that is nearest to it."""
    rows, columns = cells.nearest(height, width)
    fraction = np.clip(native / native.max(), 0, 1).astype(np.float64)
    result: NDArray[np.float64] = fraction[np.ix_(rows, columns)]
    return result


def colourise(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colour values of 0 to 1 (h, w) as uint8 (h, w, 3), dark to bright."""
    colours: NDArray[np.uint8] = _lut()[np.rint(values * 255).astype(np.uint8)]
    return colours


def blend(
    image: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: float
) -> NDArray[np.uint8]:
    """Lay colours over an image, both uint8 (h, w, 3); opacity 0 shows the image alone."""
    mixed = (1 - opacity) * image.astype(np.float32) + opacity * colours.astype(np.float32)
    result: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return result


def envelope(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close the gaps of a mask (h, w) that are too narrow to be outlined one by one.

    The mesh of a network becomes one region with one outline: gaps narrower than about a
    twenty-fourth of the image's shorter side are filled. For drawing only; no score sees it.
    """
    reach = max(1, min(mask.shape) // 48)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    result: NDArray[np.bool_] = closed.astype(bool)
    return result


def greyed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fade an image (h, w, 3) to pale grey: the ground on which a missing map is announced."""
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(np.rint(160 + grey * 0.3).astype(np.uint8)[..., None], 3, axis=2)


def blank(height: int, width: int) -> NDArray[np.uint8]:
    """Return plain grey (height, width, 3): what stands where an image file cannot be read."""
    return np.full((height, width, 3), 190, np.uint8)


@lru_cache(maxsize=1)
def _lut() -> NDArray[np.uint8]:
    table: NDArray[np.uint8] = np.rint(colormaps[MAP_COLOURS](np.arange(256))[:, :3] * 255).astype(
        np.uint8
    )
    table.flags.writeable = False
    return table
