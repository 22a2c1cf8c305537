"""Connected parts of a mask and their extents, without a loop over them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.images.masks import Mask
from xattn.stats.arrays import Floats


@dataclass(frozen=True, eq=False)
class Parts:
    """Connected parts (8 neighbours) of a mask; entry i of everything is part i.

    Attributes:
        labels: (h, w), -1 outside.
        area: (n,) pixels.
        length, width: (n,) sides of the rectangle with the part's second moments (pixels).
        box: (n, 4) left, top, width, height.
    """

    labels: NDArray[np.intp]
    area: Floats
    length: Floats
    width: Floats
    box: NDArray[np.intp]

    def mask(self, chosen: NDArray[np.bool_]) -> Mask:
        """Return the pixels of the chosen parts, (h, w).

        Args:
            chosen: (n,) booleans.
        """
        return np.asarray(np.append(chosen, False)[self.labels])


def parts_of(mask: Mask) -> Parts:
    """Find the connected parts of a mask.

    Args:
        mask: (h, w).

    Returns:
        The parts with their extents, in pixels.
    """
    count, labels, stats, middle = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    labels = labels.astype(np.intp) - 1
    rows, cols = np.nonzero(mask)
    part = labels[rows, cols]
    area = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    dx, dy = np.stack([cols, rows]) - middle[1:][part].T
    xx, yy, xy = (
        np.bincount(part, product, count - 1) / area for product in (dx * dx, dy * dy, dx * dy)
    )
    apart = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    # A bar of length l has the variance l^2 / 12; a pixel adds 1 / 12 of its own.
    length, width = (
        np.sqrt(12 * np.maximum((xx + yy + s * apart) / 2, 0) + 1) for s in (1.0, -1.0)
    )
    return Parts(labels, area, length, width, stats[1:, :4].astype(np.intp))
