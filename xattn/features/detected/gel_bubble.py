"""Air bubbles in the immersion gel, by their reflections."""

from __future__ import annotations

import numpy as np

from xattn.features.detected.framed_image import FramedImage
from xattn.features.detected.registry import RawDetection, detector

_BRIGHTER = 7.0


@detector(
    "gel_bubble",
    middle=-5.5,
    spread=2.26,
    meaning="small bright reflections and rings",
    source="top-hat transform, Abbas et al. 2011 on specular reflection; ours",
    domains=("dermoscopy",),
)
def gel_bubble(image: FramedImage) -> RawDetection:
    """Measure the fraction of pixels that are brighter than all discs of 5 pixels around them.

    The evidence is its log. Filters for rings and votes for circles did no better at this size,
    where most bubbles are a few pixels.
    """
    mask = (image.bright_spots > _BRIGHTER) & image.inner
    return RawDetection(float(np.log(1e-4 + mask.mean())), mask)
