"""How much of each stain tissue has taken: colours unmixed by optical density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import STAINED
from xattn.images.levels import Pixels

STAINS: NDArray[np.float32] = np.array(
    [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=np.float32
)
"""Optical density in red, green and blue of haematoxylin, of eosin and of diaminobenzidine, which
stands for the rest (Ruifrok and Johnston 2001)."""
_OF_DENSITY = np.linalg.inv(STAINS.astype(np.float64)).astype(np.float32)


def stain_amounts(pixels: Pixels) -> NDArray[np.float32]:
    """Return how much of each of `STAINS` every pixel has, in optical density (to base 10).

    Args:
        pixels: RGB (height, width, 3), 0 to 255; black counts as 1.

    Returns:
        (height, width, 3); negative where no mixture of the three has the colour.
    """
    light = np.maximum(pixels.astype(np.float32), 1) / np.float32(255)
    return np.asarray(-np.log10(light) @ _OF_DENSITY, dtype=np.float32)


@computed_feature(
    "haematoxylin",
    unit="optical density",
    source="Ruifrok and Johnston 2001",
    meaning="mean amount of haematoxylin over the image, without artifacts",
    domains=STAINED,
    needs_lesion=False,
)
def haematoxylin(subject: Subject) -> float:
    """Return the mean amount of haematoxylin, negative ones as none.

    The vectors of the stains are fixed: another laboratory's stain has a somewhat other hue, and
    a scanner's gamma scales all densities.

    Raises:
        UnmeasurableError: the image has no colours, or artifacts cover it.
    """
    if np.ptp(subject.pixels, axis=2).max() <= 1:
        raise UnmeasurableError("the image has no colours")
    seen = stain_amounts(subject.pixels)[..., 0][subject.clean]
    if not len(seen):
        raise UnmeasurableError("artifacts cover the image")
    return float(np.maximum(seen, 0).mean())
