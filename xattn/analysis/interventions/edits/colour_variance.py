"""The colours of the lesion are moved towards their mean, or away from it."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.colours import faded
from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    laid_elsewhere,
    lesion_of,
)
from xattn.images.domains import SKIN


@graded_edit(
    "colour-variance",
    feature="colour_variance",
    doses=(-0.8, -0.4, 0.4, 0.8),
    unit="spread of the lesion's colours",
    domains=SKIN,
)
def colour_variance(case: DoseCase) -> Dosed | None:
    """Scale each colour's distance from the lesion's mean; control: the same change on skin."""
    if (subject := lesion_of(case)) is None:
        return None
    weight = faded(subject.lesion, 1.0)
    middle = case.lab[subject.lesion].mean(axis=0)

    def edit(dose: float) -> Altered:
        lab = case.lab + np.float32(dose) * weight * (case.lab - middle)
        return case.recoloured(lab)

    return Dosed(edit, laid_elsewhere(case, edit))
