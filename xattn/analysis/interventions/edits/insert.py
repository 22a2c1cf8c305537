"""The feature is put where it was not."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.pixels import pasted, shift_to_free
from xattn.analysis.interventions.registry import Case, Edited, intervention


@intervention("insert", needs="absent", features=("artifact",))
def insert(case: Case) -> Edited | None:
    """Paste the feature from another image; control: paste a plain patch of that image.

    Without room for that, what an image without the feature has at the same place.
    """
    if case.donor is None or case.donor_skin is None:
        return None
    treated = pasted(case.image, case.donor, case.mask)
    shift = shift_to_free(case.mask, case.donor_skin, case.rng)
    if shift is None:
        reference = case.reference()
        control = None if reference is None else pasted(case.image, reference, case.mask)
        return Edited(treated, control, borrowed=True)
    skin = np.roll(case.donor, (-shift[0], -shift[1]), axis=(0, 1))
    return Edited(treated, pasted(case.image, skin, case.mask))
