"""The lesion, or all around it, is painted over."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.pixels import occluded, widened
from xattn.analysis.interventions.registry import Case, Edited, intervention


@intervention("occlude", needs="present", features=("lesion",))
def occlude_lesion(case: Case) -> Edited | None:
    """Paint over what `lesion` outlines, in the colour about it; control: an equal patch."""
    if not case.skin.any():
        return None
    colour = np.median(case.image[case.skin], axis=0)
    elsewhere = case.elsewhere()
    return Edited(
        occluded(case.image, widened(case.mask), colour),
        None if elsewhere is None else occluded(case.image, widened(elsewhere), colour),
    )


@intervention("occlude-surround", needs="present", features=("lesion",))
def occlude_surround(case: Case) -> Edited | None:
    """Paint over all but what `lesion` outlines, in the colour about it; it has no control."""
    if not case.skin.any():
        return None
    colour = np.median(case.image[case.skin], axis=0)
    return Edited(occluded(case.image, ~widened(case.mask), colour), None)
