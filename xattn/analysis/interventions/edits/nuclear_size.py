"""The nuclei of tissue are made larger or smaller in place."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.colours import size_of
from xattn.analysis.interventions.doses.nuclei import Lifted, nuclei_of
from xattn.analysis.interventions.doses.registry import Altered, DoseCase, Dosed, graded_edit
from xattn.images.domains import STAINED

_DOSES = (-0.3, -0.15, 0.15, 0.3)
_FARTHEST, _STEPS = 1.5, 10
"""The control moves nuclei by so many radii at most, and tries so many lengths."""


@graded_edit(
    "nuclear-size",
    feature="nuclei_diameter",
    doses=_DOSES,
    unit="fraction of the nuclei's diameter",
    domains=STAINED,
    needs_lesion=False,
)
def nuclear_size(case: DoseCase) -> Dosed | None:
    """Scale every nucleus about its middle; control: all moved one way, until as much changes.

    Each is lifted out, what lies beneath is filled from what surrounds it, and it is put back.
    Nuclei that grow cover what they grow over.
    """
    if (nuclei := nuclei_of(case)) is None:
        return None
    lifted = Lifted(case, nuclei)
    angle = case.rng.uniform(0, 2 * np.pi)

    def scaled(dose: float) -> Altered:
        return Altered(lifted.put_back(nuclei.as_they_are, zoom=1 + dose))

    def moved(length: float) -> Altered:
        shift = (length * np.cos(angle), length * np.sin(angle))
        return Altered(lifted.put_back((number, shift) for number in range(nuclei.count)))

    lengths = np.linspace(0, _FARTHEST * float(np.median(nuclei.radii)), _STEPS)
    reached = [size_of(moved(length).image - case.image) for length in lengths]
    reached = list(np.maximum.accumulate(reached))
    wanted = {dose: size_of(scaled(dose).image - case.image) for dose in _DOSES}
    if max(wanted.values()) > reached[-1]:
        return None
    known = {0.0: 0.0} | {d: np.sign(d) * np.interp(wanted[d], reached, lengths) for d in _DOSES}
    doses = sorted(known)

    def control(dose: float) -> Altered:
        return moved(float(np.interp(dose, doses, [known[one] for one in doses])))

    return Dosed(scaled, control)
