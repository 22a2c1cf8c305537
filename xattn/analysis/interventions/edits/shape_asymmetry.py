"""The lesion's outline is warped to be more symmetric, or less."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    lesion_of,
)
from xattn.analysis.interventions.doses.warp import Outline, fits, moved_as_far, stretched
from xattn.images.domains import SKIN

_DOSES = (-0.9, -0.45, 0.45, 0.9)


@graded_edit(
    "shape-asymmetry",
    feature="shape_asymmetry",
    doses=_DOSES,
    unit="asymmetric part of the outline",
    domains=SKIN,
)
def shape_asymmetry(case: DoseCase) -> Dosed | None:
    """Warp the outline; control: the lesion moved by as many pixels in one direction.

    The radii are their mean over the reflections at both axes, and what they differ from it by;
    the dose scales the difference.
    """
    if (subject := lesion_of(case, whole=True)) is None:
        return None
    outline = Outline(subject)
    own, apart = outline.radii, outline.radii - outline.symmetric
    least = 0.2 * own.mean()  # no radius may vanish
    if not all(fits(outline, np.maximum(least, own + dose * apart)) for dose in _DOSES):
        return None

    def warped(dose: float) -> tuple[Altered, float]:
        return stretched(case, outline, np.maximum(least, own + dose * apart))

    sizes = {dose: warped(dose)[1] for dose in _DOSES}
    return Dosed(lambda dose: warped(dose)[0], moved_as_far(case, outline, sizes))
