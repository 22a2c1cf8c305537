"""An artifact or structure is faded out."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
)
from xattn.analysis.interventions.pixels import inpainted, moved, widened
from xattn.analysis.interventions.registry import Case


@graded_edit(
    "opacity",
    kinds=("artifact", "structure"),
    doses=(-1.0, -0.75, -0.5, -0.25),
    unit="opacity",
)
def opacity(case: DoseCase) -> Dosed | None:
    """Blend the inpainted image in; control: blend an equal patch elsewhere.

    A structure's patch lies in another part of the lesion. With little room the part of an
    artifact's patch that falls on plain skin is blended, at least half of it; without (hairs all
    over, dark corners, a structure over most of the lesion) the image is left out.
    """
    if widened(case.mask).mean() > 0.5:  # too little is left to fill it from
        return None
    blank = inpainted(case.pixels, case.mask).astype(np.float32)

    def edit(dose: float) -> Altered:
        return Altered(case.image + np.float32(-dose) * (blank - case.image))

    own = Case(case.pixels, case.mask, case.lesion, case.skin, case.inside, case.rng)
    where = own.elsewhere()
    bound = case.inside and case.lesion is not None
    if where is None and case.shift is not None and not bound:
        where = np.asarray(moved(case.mask, case.shift), dtype=bool) & case.skin
    if where is None or widened(where).all():
        return None
    other = inpainted(case.pixels, where).astype(np.float32)

    def control(dose: float) -> Altered:
        return Altered(case.image + np.float32(-dose) * (other - case.image))

    return Dosed(edit, control)
