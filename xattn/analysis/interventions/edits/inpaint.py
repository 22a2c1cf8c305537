"""The feature is taken away."""

from __future__ import annotations

from xattn.analysis.interventions.pixels import inpainted, widened
from xattn.analysis.interventions.registry import Case, Edited, intervention


@intervention("inpaint", needs="present", features=("structure", "artifact"), detected=True)
def remove(case: Case) -> Edited | None:
    """Remove the feature by inpainting; control: inpaint an equal patch elsewhere.

    Without room (hairs all over, dark corners) the same patch of an image without the feature.
    """
    if widened(case.mask).mean() > 0.5:  # too little is left to fill it from
        return None
    treated = inpainted(case.image, case.mask)
    elsewhere = case.elsewhere()
    if elsewhere is not None:
        return Edited(treated, inpainted(case.image, elsewhere))
    if (reference := case.reference()) is None:
        return Edited(treated, None)
    return Edited(treated, inpainted(reference, case.mask), reference, borrowed=True)
