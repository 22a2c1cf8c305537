"""The two halves of the lesion are made more alike in colour, or less."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.analysis.interventions.doses.colours import Colours, faded
from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    laid_elsewhere,
    lesion_of,
)
from xattn.features.computed import Subject
from xattn.images.domains import SKIN

_LARGEST = 2.0
"""At most so much are colours stretched to keep their variance."""


@graded_edit(
    "colour-asymmetry",
    feature="colour_asymmetry",
    doses=(-0.8, -0.4, 0.4, 0.8),
    unit="asymmetric part of the colours",
    caveat="it scales the asymmetry that the pattern has, and lays no colours to one side",
    domains=SKIN,
)
def colour_asymmetry(case: DoseCase) -> Dosed | None:
    """Blend the mirrored halves in, or take them away; control: the same change on skin.

    Every pixel is its mean with its mirror images at both axes, and what it differs from that by.
    The dose scales the difference; then all colours are scaled to the variance that they had.
    """
    subject = lesion_of(case, whole=True)
    if subject is None:
        return None
    weight = faded(subject.lesion, 1.0)
    apart = case.lab - _symmetric(case.lab, subject)
    middle, spread = _moments(case.lab, subject)

    def edit(dose: float) -> Altered:
        lab = case.lab + np.float32(dose) * apart
        now, wide = _moments(lab, subject)
        kept = middle + (lab - now) * np.float32(min(_LARGEST, spread / max(wide, 1e-6)))
        return case.recoloured(np.asarray(case.lab + weight * (kept - case.lab), np.float32))

    return Dosed(edit, laid_elsewhere(case, edit))


def _symmetric(lab: Colours, subject: Subject) -> Colours:
    """Return each pixel's mean with those of its mirror images that lie in the lesion."""
    total, count = np.zeros_like(lab), np.zeros((*lab.shape[:2], 1), dtype=np.float32)
    inside = subject.lesion.astype(np.float32)
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        flip = subject.axes.T @ np.diag(signs) @ subject.axes
        to_source = np.column_stack([flip, subject.centre - flip @ subject.centre])
        size, flags = lab.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = (cv2.warpAffine(inside, to_source, size, flags=flags) >= 0.99)[..., None]
        total += there * cv2.warpAffine(lab, to_source, size, flags=flags)
        count += there
    return np.where(count > 0, total / np.maximum(count, 1), lab)


def _moments(lab: Colours, subject: Subject) -> tuple[Colours, float]:
    """Return the lesion's mean colour, and its standard deviation over all three channels."""
    own = lab[subject.lesion]
    return own.mean(axis=0), float(np.sqrt(own.var(axis=0).sum()))
