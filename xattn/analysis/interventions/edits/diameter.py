"""The lesion is made larger or smaller in place."""

from __future__ import annotations

from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    lesion_of,
)
from xattn.analysis.interventions.doses.warp import Outline, fits, moved_as_far, stretched
from xattn.images.domains import SKIN

_DOSES = (-0.3, -0.15, 0.15, 0.3)


@graded_edit(
    "diameter",
    feature="diameter",
    doses=_DOSES,
    unit="fraction of the diameter",
    domains=SKIN,
)
def diameter(case: DoseCase) -> Dosed | None:
    """Scale the lesion in place; control: the lesion moved by as many pixels in one direction.

    The skin about it is stretched or compressed, so that none has to be invented.
    """
    if (subject := lesion_of(case, whole=True)) is None:
        return None
    outline = Outline(subject)
    if not fits(outline, outline.radii * (1 + max(_DOSES))):
        return None

    def scaled(dose: float) -> tuple[Altered, float]:
        return stretched(case, outline, outline.radii * (1 + dose))

    sizes = {dose: scaled(dose)[1] for dose in _DOSES}
    return Dosed(lambda dose: scaled(dose)[0], moved_as_far(case, outline, sizes))
