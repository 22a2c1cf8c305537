"""An artifact or structure is faded out."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    laid_elsewhere,
)
from xattn.analysis.interventions.pixels import inpainted, widened
from xattn.analysis.interventions.registry import Case


@graded_edit(
    "opacity",
    kinds=("artifact", "structure"),
    doses=(-1.0, -0.75, -0.5, -0.25),
    unit="opacity",
)
def opacity(case: DoseCase) -> Dosed | None:
    """Blend the inpainted image in; control: blend an equal patch elsewhere.

    Without room (hairs all over, dark corners) the same change of pixels is laid over the skin.
    """
    if widened(case.mask).mean() > 0.5:  # too little is left to fill it from
        return None
    blank = inpainted(case.pixels, case.mask).astype(np.float32)

    def edit(dose: float) -> Altered:
        return Altered(case.image + np.float32(-dose) * (blank - case.image))

    where = Case(case.pixels, case.mask, case.lesion, case.skin, case.inside, case.rng).elsewhere()
    if where is None:
        return Dosed(edit, laid_elsewhere(case, edit))
    other = inpainted(case.pixels, where).astype(np.float32)

    def control(dose: float) -> Altered:
        return Altered(case.image + np.float32(-dose) * (other - case.image))

    return Dosed(edit, control)
