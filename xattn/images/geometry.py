"""Where a model's input lies in the image, and how masks get there.

Every preprocessing is "a box of the upright image, resampled to (height, width)". The box is all
that is needed to bring an attribution map back to the image or a mask to the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """The part of an upright image a model sees, and the size it is resampled to.

    Attributes:
        box: (left, top, right, bottom) in pixels of the upright image, fractions allowed.
        height, width: size of the model's input in pixels.
    """

    box: tuple[float, float, float, float]
    height: int
    width: int


def sample_mask(
    mask: NDArray[np.bool_], view: View, image_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Read a mask at the centres of the view's pixels (nearest, never interpolated).

    Args:
        mask: booleans (h, w) of the whole upright image, at any resolution.
        view: what the model sees.
        image_size: (width, height) of the image that `view.box` refers to.

    Returns:
        Booleans (view.height, view.width).
    """
    rows = _centres(view.box[1], view.box[3], view.height, image_size[1], mask.shape[0])
    cols = _centres(view.box[0], view.box[2], view.width, image_size[0], mask.shape[1])
    return mask[rows[:, None], cols[None, :]]


def _centres(low: float, high: float, n: int, image: int, mask: int) -> NDArray[np.intp]:
    centres = low + (np.arange(n) + 0.5) * (high - low) / n
    return np.clip((centres * mask / image).astype(np.intp), 0, mask - 1)
