"""Air bubbles in the immersion gel, by their reflections."""

from __future__ import annotations

import numpy as np

from xattn.features.detected.picture import Picture
from xattn.features.detected.registry import Found, detector

_BRIGHTER = 7.0


@detector(
    "gel_bubble",
    middle=-5.5,
    spread=2.26,
    meaning="small bright reflections and rings",
    source="top-hat transform, Abbas et al. 2011 on specular reflection; ours",
)
def gel_bubble(picture: Picture) -> Found:
    """Measure the share of pixels that are brighter than all discs of 5 pixels around them.

    The evidence is its log. Filters for rings and votes for circles did no better at this size,
    where most bubbles are a few pixels.
    """
    mask = (picture.bright_spots > _BRIGHTER) & picture.inner
    return Found(float(np.log(1e-4 + mask.mean())), mask)
