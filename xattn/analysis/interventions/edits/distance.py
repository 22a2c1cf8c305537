"""An artifact is moved towards the lesion, or away from it."""

from __future__ import annotations

import numpy as np

from xattn.analysis.interventions.doses.lifted import LiftedArtifact, Shift, lifted_artifact
from xattn.analysis.interventions.doses.registry import (
    DoseCase,
    Dosed,
    graded_edit,
    lesion_of,
)
from xattn.features.computed import Subject, UnmeasurableError

_DOSES = (-0.04, -0.02, 0.02, 0.04)
_ANGLES = 90
_OFF = 0.35
"""The distance may change by so much more or less than the dose; with the control, at all."""
_CLOSEST = 2.0
"""Pixels that remain between artifact and lesion."""


def _distance(subject: Subject) -> float:
    """Return the least distance between artifact and lesion, over the image's diagonal."""
    if subject.artifacts is None or not subject.artifacts.any():
        raise UnmeasurableError("there is no mask of the artifact")
    nearest = float(subject.distance[subject.artifacts].min())
    return max(nearest, 0.0) / float(np.hypot(*subject.mask.shape))


@graded_edit(
    "distance",
    kinds=("artifact",),
    doses=_DOSES,
    unit="fraction of the image's diagonal",
    measure=_distance,
    needs_lesion=True,
)
def distance(case: DoseCase) -> Dosed | None:
    """Move the artifact from the lesion, or towards it; control: as far, at the same distance.

    It is lifted out, what lies beneath is filled from what surrounds it, and it is put back. Left
    out are artifacts that span the image or reach its border, lie on the lesion, or have no room.
    """
    artifact, subject = lifted_artifact(case), lesion_of(case)
    if artifact is None or subject is None or any(artifact.touches):
        return None
    before = float(subject.distance[case.mask].min())
    if (shifts := _outward(case, artifact, subject, before)) is None:
        return None
    around = _around(case, artifact, subject, before, shifts)
    return Dosed(artifact.mover(shifts), None if around is None else artifact.mover(around))


def _outward(
    case: DoseCase, artifact: LiftedArtifact, subject: Subject, before: float
) -> dict[float, Shift] | None:
    """Return by how much it is moved at each dose, in the direction in which the distance follows
    best, among those in which there is room; None if it follows in none."""
    best: tuple[float, dict[float, Shift]] | None = None
    diagonal = float(np.hypot(*case.mask.shape))
    for angle in np.arange(_ANGLES) * 2 * np.pi / _ANGLES:
        way = np.array([np.cos(angle), np.sin(angle)])
        shifts = {dose: _rounded(dose * diagonal * way) for dose in _DOSES}
        off = 0.0
        for dose in reversed(_DOSES):
            if not _free(artifact, subject, shifts[dose]):
                break
            now = float(subject.distance[artifact.moved(shifts[dose])].min())
            off = max(off, abs((now - before) / (dose * diagonal) - 1))
        else:
            if off <= _OFF and (best is None or off < best[0]):
                best = (off, shifts)
    return None if best is None else best[1]


def _around(
    case: DoseCase,
    artifact: LiftedArtifact,
    subject: Subject,
    before: float,
    shifts: dict[float, Shift],
) -> dict[float, Shift] | None:
    """Return by how much it is moved about the lesion, as far as at each dose; None without room.

    To one side for positive doses and to the other for negative ones, if there is room on both.
    """
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    side = case.rng.choice((-1.0, 1.0))
    found: dict[float, Shift] = {}
    for dose, (x, y) in shifts.items():
        length = float(np.hypot(x, y))
        best: tuple[bool, float, Shift] | None = None
        for angle in angles:
            shift = _rounded(length * np.array([np.cos(angle), np.sin(angle)]))
            if not _free(artifact, subject, shift):
                continue
            there = artifact.moved(shift)
            off = abs(float(subject.distance[there].min()) - before)
            across = np.sign(dose) * (x * shift[1] - y * shift[0])
            other = bool(np.sign(across) != side)
            if off <= _OFF * length and (best is None or (other, off) < best[:2]):
                best = (other, off, shift)
        if best is None:
            return None
        found[dose] = best[2]
    return found


def _free(artifact: LiftedArtifact, subject: Subject, shift: Shift) -> bool:
    """Whether it would lie in the image and off the lesion."""
    there = artifact.moved(shift)
    return there is not None and float(subject.distance[there].min()) >= _CLOSEST


def _rounded(shift: np.ndarray) -> Shift:
    return round(float(shift[0])), round(float(shift[1]))
