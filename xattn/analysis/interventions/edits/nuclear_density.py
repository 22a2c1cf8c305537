"""Nuclei are taken from tissue, or more are put into it."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.analysis.interventions.doses.nuclei import Lifted, Nuclei, Place, nuclei_of
from xattn.analysis.interventions.doses.registry import Altered, DoseCase, Dosed, graded_edit
from xattn.analysis.interventions.pixels import moved, shift_to_free
from xattn.images.domains import STAINED

_DOSES = (-0.2, -0.1, 0.1, 0.2)
_CROSS = np.ones((3, 3), np.uint8)
_OVERLAP = 0.1
"""So much of a nucleus, without its blurred border, may lie over others."""


@graded_edit(
    "nuclear-density",
    feature="nuclei_count",
    doses=_DOSES,
    unit="fraction of the nuclei",
    caveat="it takes the smaller ones, and counts those that touch as one",
    domains=STAINED,
    needs_lesion=False,
)
def nuclear_density(case: DoseCase) -> Dosed | None:
    """Remove nuclei, or copy some to free tissue; control: half as many moved to free tissue.

    A nucleus that is moved changes two places, so that as many change as by the edit. Images
    without room for the copies are left out.
    """
    if (nuclei := nuclei_of(case)) is None:
        return None
    pairs = {dose: max(1, round(abs(dose) * nuclei.count / 2)) for dose in _DOSES}
    most = 2 * max(pairs.values())
    (top, left), (bottom, right) = nuclei.boxes[:, :2].T, nuclei.boxes[:, 2:].T
    height, width = nuclei.parts.shape
    whole = (top > 0) & (left > 0) & (bottom < height) & (right < width)
    single = np.flatnonzero(whole & (nuclei.areas <= np.median(nuclei.areas)))
    copies = _copies(nuclei, case.rng.permutation(single).tolist(), most, case.rng)
    if len(copies) < most:
        return None
    order = [number for number, _ in copies]
    lifted = Lifted(case, nuclei)

    def number(dose: float) -> int:
        known = {0.0: 0, **pairs}
        return round(float(np.interp(dose, sorted(known), [known[d] for d in sorted(known)])))

    def edit(dose: float) -> Altered:
        n = 2 * number(dose)
        places = [one for one in nuclei.as_they_are if dose >= 0 or one[0] not in order[:n]]
        return Altered(lifted.put_back([*places, *(copies[:n] if dose > 0 else [])]))

    def control(dose: float) -> Altered:
        n = number(dose)
        places = [one for one in nuclei.as_they_are if one[0] not in order[:n]]
        return Altered(lifted.put_back([*places, *copies[:n]]))

    return Dosed(edit, control)


def _copies(nuclei: Nuclei, which: list[int], most: int, rng: np.random.Generator) -> list[Place]:
    """Find places in free tissue for so many of these nuclei; those that there are."""
    found: list[Place] = []
    bare = np.asarray(cv2.erode(nuclei.mask.astype(np.uint8), _CROSS) == 0)
    free = bare & (nuclei.free | nuclei.mask)  # not over artifacts
    for number in which:
        own = cv2.erode((nuclei.parts == number).astype(np.uint8), _CROSS).astype(bool)
        if not own.any() or (shift := shift_to_free(own, free, rng, _OVERLAP)) is None:
            continue
        found.append((number, (float(shift[1]), float(shift[0]))))
        if len(found) == most:
            break
        free = free & ~np.asarray(moved(own, shift), dtype=bool)
    return found
