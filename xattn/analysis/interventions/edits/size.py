"""An artifact is made larger or smaller."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xattn.analysis.interventions.doses.colours import size_of
from xattn.analysis.interventions.doses.lifted import LiftedArtifact, Shift, lifted_artifact
from xattn.analysis.interventions.doses.registry import (
    Altered,
    AtDose,
    DoseCase,
    Dosed,
    graded_edit,
)
from xattn.analysis.interventions.pixels import moved
from xattn.features.computed import Subject, UnmeasurableError

_DOSES = (-0.5, -0.25, 0.25, 0.5)
_ANGLES = 16
_WHOLE = 0.9
"""So much of what an artifact would be must lie in the image once it has grown."""


def _diameter(subject: Subject) -> float:
    """Return the diameter of a disc of the artifact's area, over the image's diagonal."""
    if subject.artifacts is None:
        raise UnmeasurableError("there is no mask of the artifact")
    area = float(subject.artifacts.sum())
    return float(np.sqrt(4 * area / np.pi) / np.hypot(*subject.mask.shape))


@graded_edit(
    "size",
    kinds=("artifact",),
    doses=_DOSES,
    unit="fraction of its diameter",
    measure=_diameter,
)
def size(case: DoseCase) -> Dosed | None:
    """Scale the artifact in place; control: it is moved, until the image changes as much.

    It is lifted out, what lies beneath is filled from what surrounds it, and it is put back, where
    the border of the image cuts it with the cut on the border. Without room to move it, the control
    scales an equal patch of plain skin. Left out are artifacts that span the image, or would grow
    over the lesion or out of the image.
    """
    if (artifact := lifted_artifact(case)) is None:
        return None
    scaled = {dose: artifact.put(zoom=1 + dose) for dose in (0.0, *_DOSES)}
    largest = scaled[max(_DOSES)].mask
    assert largest is not None
    wanted = case.mask.sum() * (1 + max(_DOSES)) ** 2
    if artifact.covers_more(largest) or not (
        any(artifact.touches) or largest.sum() >= _WHOLE * wanted
    ):
        return None

    def edit(dose: float) -> Altered:
        return scaled[dose] if dose in scaled else artifact.put(zoom=1 + dose)

    sizes = {dose: size_of(scaled[dose].image - case.image) for dose in _DOSES}
    shifts = _as_large(case, artifact, sizes)
    return Dosed(edit, _of_skin(case) if shifts is None else artifact.mover(shifts))


def _of_skin(case: DoseCase) -> AtDose | None:
    """Return the control that scales an equal patch of plain skin; None if there is no room."""
    if case.shift is None:
        return None
    patch = np.asarray(moved(case.mask, case.shift), dtype=bool) & case.skin
    if (lifted := lifted_artifact(replace(case, mask=patch))) is None:
        return None

    def control(dose: float) -> Altered:
        there = lifted.put(zoom=1 + dose).image
        return Altered(np.where(case.skin[..., None], there, case.image))

    return control


def _as_large(
    case: DoseCase, artifact: LiftedArtifact, sizes: dict[float, float]
) -> dict[float, Shift] | None:
    """Return by how much (x, y) the artifact is moved at each dose; None if there is no room.

    In a direction drawn for the image, and back for negative doses; along the border of the image
    where that cuts the artifact.
    """
    top, left, bottom, right = artifact.touches
    if (top or bottom) and (left or right):
        return None
    angles = case.rng.uniform(0, 2 * np.pi) + np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    if left or right or top or bottom:
        angles = np.array([0, np.pi]) + (np.pi / 2 if left or right else 0)
    for angle in case.rng.permutation(angles):
        found: dict[float, Shift] = {}
        for sign in (-1, 1):
            of_sign = {dose: wanted for dose, wanted in sizes.items() if np.sign(dose) == sign}
            found |= _far_enough(artifact, angle if sign > 0 else angle + np.pi, of_sign)
        if len(found) == len(sizes):
            return found
    return None


def _far_enough(
    artifact: LiftedArtifact, angle: float, sizes: dict[float, float]
) -> dict[float, Shift]:
    """Return by how much to move it in one direction, of the doses that it can be done for."""
    shifts, reached = [(0, 0)], [0.0]
    while reached[-1] < max(sizes.values()):
        length = len(shifts)
        shift = (round(length * np.cos(angle)), round(length * np.sin(angle)))
        if artifact.moved(shift) is None:
            break
        shifts.append(shift)
        reached.append(size_of(artifact.put(shift).image - artifact.case.image))
    return {
        dose: shifts[int(np.abs(np.array(reached) - wanted).argmin())]
        for dose, wanted in sizes.items()
        if wanted <= reached[-1]
    }
