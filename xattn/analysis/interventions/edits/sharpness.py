"""Tissue is seen blurrier or sharper, as by another scanner."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.analysis.interventions.doses.colours import Colours, size_of
from xattn.analysis.interventions.doses.registry import Altered, DoseCase, Dosed, graded_edit
from xattn.images.domains import STAINED


@graded_edit(
    "sharpness",
    feature="sharpness",
    doses=(-1.0, -0.5, 0.5, 1.0),
    unit="pixels (standard deviation); positive: sharpened",
    domains=STAINED,
    needs_lesion=False,
)
def sharpness(case: DoseCase) -> Dosed:
    """Blur, or add what a blur takes away; control: a smooth shade over the image, as large.

    The shade is one wave, bright on one side and dark on the other, in a direction drawn for the
    image.
    """

    def edit(dose: float) -> Altered:
        if not dose:
            return Altered(case.image)
        detail = case.image - _smooth(case.image, abs(dose))
        return Altered(np.clip(case.image + np.float32(np.sign(dose)) * detail, 0, 255))

    angle, phase = case.rng.uniform(0, 2 * np.pi, 2)
    rows, cols = np.indices(case.image.shape[:2])
    along = cols * np.cos(angle) + rows * np.sin(angle)
    wave = np.sin(2 * np.pi * along / max(case.image.shape[:2]) + phase).astype(np.float32)
    wave = np.repeat(wave[..., None], case.image.shape[2], axis=2)
    wave /= np.float32(max(size_of(wave), 1e-6))

    def control(dose: float) -> Altered:
        length = np.sign(dose) * size_of(edit(dose).image - case.image)
        return Altered(np.clip(case.image + np.float32(length) * wave, 0, 255))

    return Dosed(edit, control)


def _smooth(image: Colours, pixels: float) -> Colours:
    channels = [cv2.GaussianBlur(one, (0, 0), pixels) for one in np.moveaxis(image, -1, 0)]
    return np.asarray(np.stack(channels, axis=-1), dtype=np.float32)
