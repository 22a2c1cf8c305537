"""The skin about the lesion is made lighter or darker, as other skin is."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.colours import Colours, faded, size_of
from xattn.analysis.interventions.doses.registry import Altered, DoseCase, Dosed, graded_edit
from xattn.features.computed import COMPUTED_FEATURES, UnmeasurableError
from xattn.images.domains import SKIN

_DOSES = (-10.0, -5.0, 5.0, 10.0)


@graded_edit(
    "skin-tone",
    feature="skin_tone",
    doses=_DOSES,
    unit="degrees (ITA)",
    caveat="it leaves the lesion as it is, which darker skin would darken too",
    domains=SKIN,
)
def skin_tone(case: DoseCase) -> Dosed | None:
    """Turn L* and b* of the skin about L* = 50; control: a* moved by as much.

    Images are left out whose skin would come to lie outside what the run shows (1st to 99th
    percentile).
    """
    try:
        angle = COMPUTED_FEATURES["skin_tone"](case.subject)
    except UnmeasurableError:
        return None
    low, high = case.observed or (-180.0, 180.0)
    if not low <= angle + min(_DOSES) <= angle + max(_DOSES) <= high:
        return None
    weight = faded(case.skin, 2.0)
    sign = case.rng.choice((-1.0, 1.0))

    def turned(dose: float) -> Colours:
        turn = np.radians(dose)
        light, b = case.lab[..., 0] - 50, case.lab[..., 2]
        lab = case.lab.copy()
        lab[..., 2] = b * np.cos(turn) - light * np.sin(turn)
        lab[..., 0] = 50 + b * np.sin(turn) + light * np.cos(turn)
        return case.lab + weight * (lab - case.lab)

    def edit(dose: float) -> Altered:
        return case.recoloured(turned(dose))

    whole = max(size_of(weight), 1e-6)

    def control(dose: float) -> Altered:
        lab = case.lab.copy()
        length = sign * np.sign(dose) * size_of(turned(dose) - case.lab) / whole
        lab[..., 1] += np.float32(length) * weight[..., 0]
        return case.recoloured(lab)

    return Dosed(edit, control)
