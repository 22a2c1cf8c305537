"""The whole image is made brighter or darker, or its colours warmer or cooler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.colours import size_of, to_lab
from xattn.analysis.interventions.doses.registry import (
    Altered,
    AtDose,
    DoseCase,
    Dosed,
    graded_edit,
)
from xattn.features.computed import Subject
from xattn.images.domains import COLOURED


def _brightness(subject: Subject) -> float:
    return float(subject.light.mean())


def _warmth(subject: Subject) -> float:
    return float(subject.lab[..., 2].mean())


@graded_edit(
    "light",
    feature="light",
    doses=(-0.2, -0.1, 0.1, 0.2),
    unit="fraction of the light",
    whole=True,
    measure=_brightness,
)
def light(case: DoseCase) -> Dosed:
    """Scale all values; control: a colour cast as large, in a direction drawn for the image."""

    def edit(dose: float) -> Altered:
        return Altered(np.clip(case.image * np.float32(1 + dose), 0, 255))

    if case.grey:
        return Dosed(edit, None)
    angle = case.rng.uniform(0, 2 * np.pi)
    return Dosed(edit, _moved(case, edit, np.array([0, np.cos(angle), np.sin(angle)])))


@graded_edit(
    "colour-cast",
    feature="colour_cast",
    doses=(-0.1, -0.05, 0.05, 0.1),
    unit="red up and blue down, by a fraction",
    whole=True,
    measure=_warmth,
    domains=COLOURED,
)
def colour_cast(case: DoseCase) -> Dosed | None:
    """Scale red up and blue down; control: L* moved by as much, up or down as drawn."""
    if case.grey:
        return None
    direction = np.array([1, 0, -1], dtype=np.float32)

    def edit(dose: float) -> Altered:
        return Altered(np.clip(case.image * (1 + np.float32(dose) * direction), 0, 255))

    return Dosed(edit, _moved(case, edit, np.array([case.rng.choice((-1.0, 1.0)), 0, 0])))


def _moved(case: DoseCase, edit: AtDose, direction: NDArray[np.float64]) -> AtDose:
    """Return the control that moves all colours in one direction of CIELAB, as far as the edit."""

    def control(dose: float) -> Altered:
        length = np.sign(dose) * size_of(to_lab(edit(dose).image) - case.lab)
        return case.recoloured(case.lab + np.float32(length) * direction.astype(np.float32))

    return control
