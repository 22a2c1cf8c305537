"""Skin tone as the individual typology angle (ITA) of healthy skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject
from xattn.images.domains import SKIN

TONES = ("dark", "brown", "tan", "intermediate", "light", "very light")
"""Bands of the angle, darkest first."""

CUT_OFFS = (-30.0, 10.0, 28.0, 41.0, 55.0)
"""Degrees between the bands (Chardon et al. 1991; Del Bino and Bernerd 2013)."""


@computed_feature(
    "skin_tone",
    unit="degrees (ITA)",
    low=-180.0,
    high=180.0,
    source="Chardon et al. 1991; Kinyanjui et al. 2020; Bevan and Atapour-Abarghouei 2022",
    meaning="individual typology angle of healthy skin, median; depends on lighting and camera",
    domains=SKIN,
)
def skin_tone(subject: Subject) -> float:
    """Return the median of atan2(L* - 50, b*) over healthy skin, in degrees.

    It equals arctan((L* - 50) / b*) wherever b* > 0, and stays continuous where white balance
    makes the skin bluish.
    """
    light, _, b = subject.skin_colours.T
    return float(np.degrees(np.median(np.arctan2(light - 50, b))))


def tone_band(angle: ArrayLike) -> NDArray[np.object_]:
    """Return the name of the band of each angle (degrees), None where it is NaN.

    >>> tone_band([60, 41, 0, -31]).tolist()
    ['very light', 'intermediate', 'brown', 'dark']

    Args:
        angle: individual typology angles, in degrees.

    Source: Chardon, Cretois and Hourseau 1991.
    """
    angle = np.asarray(angle, dtype=np.float64)
    names = np.array([*TONES, None], dtype=object)
    # A cut-off belongs to the band below it: very light is > 55, light is > 41 to 55.
    place = np.searchsorted(CUT_OFFS, angle, side="left")
    return np.asarray(names[np.where(np.isnan(angle), len(TONES), place)])
