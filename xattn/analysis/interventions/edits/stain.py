"""Tissue takes more or less haematoxylin."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.colours import Colours, size_of
from xattn.analysis.interventions.doses.registry import Altered, DoseCase, Dosed, graded_edit
from xattn.features.computed.stain import STAINS, stain_amounts
from xattn.images.domains import STAINED

_DOSES = (-0.3, -0.15, 0.15, 0.3)
_HAEMATOXYLIN, _EOSIN = 0, 1
_FARTHEST = 3.0
"""The control adds or takes no more than so much of the haematoxylin's density."""
_STEPS = 24


@graded_edit(
    "stain",
    feature="haematoxylin",
    doses=_DOSES,
    unit="fraction of the haematoxylin",
    domains=STAINED,
    needs_lesion=False,
)
def stain(case: DoseCase) -> Dosed | None:
    """Scale the density of haematoxylin; control: eosin added there, or taken, as much.

    What neither stain explains stays.
    """
    if case.grey:
        return None
    amount = np.maximum(stain_amounts(case.pixels)[..., _HAEMATOXYLIN, None], 0)

    def stained(which: int, factor: float) -> Colours:
        light = 10 ** (-np.float32(factor) * amount * STAINS[which])
        return np.asarray(np.clip(case.image * light, 0, 255), dtype=np.float32)

    def edit(dose: float) -> Altered:
        return Altered(stained(_HAEMATOXYLIN, dose))

    def as_large(dose: float) -> float | None:
        """Return how much eosin changes the image as much, by bisection."""
        wanted = size_of(stained(_HAEMATOXYLIN, dose) - case.image)
        near, far = 0.0, float(np.sign(dose)) * _FARTHEST
        if size_of(stained(_EOSIN, far) - case.image) < wanted:
            return None
        for _ in range(_STEPS):
            middle = (near + far) / 2
            below = size_of(stained(_EOSIN, middle) - case.image) < wanted
            near, far = (middle, far) if below else (near, middle)
        return far

    factors = {0.0: 0.0}
    for dose in _DOSES:
        if (factor := as_large(dose)) is None:
            return None
        factors[dose] = factor
    known = sorted(factors)

    def control(dose: float) -> Altered:
        return Altered(stained(_EOSIN, float(np.interp(dose, known, [factors[d] for d in known]))))

    return Dosed(edit, control)
