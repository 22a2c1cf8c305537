"""Lesions stretched, shrunk and moved in place: the skin about them gives way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.registry import Altered, AtDose, DoseCase
from xattn.features.computed import Subject
from xattn.stats.arrays import Floats

_ANGLES = 360
_SMOOTH = 4.0
"""Degrees over which the outline is smoothed: pixels of it are steps."""
_OUTER = 1.7
"""From so many radii on the skin stays where it is."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A lesion in polar coordinates about its centroid, angles from its longer axis.

    Attributes:
        subject: the image and its lesion.
    """

    subject: Subject

    @cached_property
    def radii(self) -> Floats:
        """Largest radius (pixels) in each of 360 degrees, smoothed, (360,)."""
        along, across = self.subject.axes @ (self.subject.outline - self.subject.centre).T
        place = _degrees(along, across).astype(np.intp) % _ANGLES
        found = np.zeros(_ANGLES)
        np.maximum.at(found, place, np.hypot(along, across))
        known = np.flatnonzero(found)
        filled = np.interp(np.arange(_ANGLES), known, found[known], period=_ANGLES)
        wide = np.concatenate([filled] * 3)[None].astype(np.float32)
        smooth = cv2.GaussianBlur(wide, (0, 0), sigmaX=_SMOOTH, sigmaY=1e-6)
        return np.asarray(smooth[0, _ANGLES : 2 * _ANGLES], dtype=np.float64)

    @cached_property
    def symmetric(self) -> Floats:
        """The radii, mean over the reflections at both axes, (360,)."""
        back = np.arange(_ANGLES)[::-1]  # bin k is centred on k + 1/2 degrees
        half = (np.arange(_ANGLES) + _ANGLES // 2) % _ANGLES
        own = self.radii
        return np.asarray((own + own[back] + own[half] + own[back][half]) / 4)

    @cached_property
    def polar(self) -> tuple[Floats, Floats]:
        """Angle (degrees) and radius (pixels) of every pixel, each (height, width)."""
        rows, cols = np.indices(self.subject.mask.shape)
        about = np.stack([cols - self.subject.centre[0], rows - self.subject.centre[1]])
        along, across = np.tensordot(self.subject.axes, about, axes=1)
        return _degrees(along, across), np.hypot(along, across)

    def at(self, radii: Floats) -> Floats:
        """Return radii (360,) at the angle of every pixel, (height, width)."""
        place = np.arange(_ANGLES) + 0.5
        found = np.interp(self.polar[0].ravel(), place, radii, period=_ANGLES)
        return np.asarray(found.reshape(self.subject.mask.shape))


def _degrees(along: NDArray[np.floating], across: NDArray[np.floating]) -> Floats:
    return np.asarray(np.degrees(np.arctan2(across, along)) % 360)


def fits(outline: Outline, radii: Floats) -> bool:
    """Whether a lesion of these radii (360,) lies within the image.

    Args:
        outline: of the lesion as it is.
        radii: as they would be.
    """
    angle = np.radians(np.arange(_ANGLES) + 0.5)
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ outline.subject.axes
    points = outline.subject.centre + radii[:, None] * ray
    height, width = outline.subject.mask.shape
    return bool((points >= 1).all() and (points < (width - 1, height - 1)).all())


def stretched(case: DoseCase, outline: Outline, radii: Floats) -> tuple[Altered, float]:
    """Give a lesion other radii (360,); what lies beyond 1.7 radii stays.

    Args:
        case: the image.
        outline: of the lesion as it is.
        radii: as they shall be.

    Returns:
        The image, and by how many pixels it was moved (root mean square over the image).
    """
    _, distance = outline.polar
    old, new = outline.at(outline.radii), outline.at(radii)
    outer = _OUTER * np.maximum(old, new)
    beyond = old + (distance - new) * (outer - old) / (outer - new)
    source = np.where(distance <= new, distance * old / new, beyond)
    source = np.where(distance >= outer, distance, source)
    factor = np.divide(source, distance, out=np.ones_like(source), where=distance > 0)
    rows, cols = np.indices(distance.shape)
    centre = outline.subject.centre
    x, y = centre[0] + (cols - centre[0]) * factor, centre[1] + (rows - centre[1]) * factor
    moved = float(np.sqrt(np.square(source - distance).mean()))
    return read_at(case, x, y), moved


def moved_as_far(case: DoseCase, outline: Outline, sizes: dict[float, float]) -> AtDose:
    """Return the control that moves the lesion as it is, in one direction and back.

    Args:
        case: the image.
        outline: of its lesion.
        sizes: dose -> by how many pixels its edit moves the image (root mean square).
    """
    angle = case.rng.uniform(0, 2 * np.pi)
    old, distance = outline.at(outline.radii), outline.polar[1]
    weight = np.clip((_OUTER * old - distance) / ((_OUTER - 1) * old), 0, 1)
    scale = float(np.sqrt(np.square(weight).mean()))
    rows, cols = np.indices(distance.shape)
    known = sorted({0.0, *sizes})

    def control(dose: float) -> Altered:
        length = np.sign(dose) * np.interp(dose, known, [sizes.get(d, 0.0) for d in known]) / scale
        return read_at(
            case, cols - length * np.cos(angle) * weight, rows - length * np.sin(angle) * weight
        )

    return control


def read_at(case: DoseCase, x: Floats, y: Floats) -> Altered:
    """Return the image and its lesion, if there is one, read at other places.

    Args:
        case: the image.
        x, y: (height, width), column and row that each pixel is read from.
    """
    grid = x.astype(np.float32), y.astype(np.float32)
    channels = [
        cv2.remap(one, *grid, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        for one in np.moveaxis(case.image, -1, 0)
    ]
    image = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.float32)
    if case.lesion is None:
        return Altered(image)
    there = cv2.remap(case.lesion.astype(np.float32), *grid, cv2.INTER_LINEAR)
    return Altered(image, np.asarray(there >= 0.5))
