"""The nuclei of one patch of tissue, as graded edits take them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.colours import Colours
from xattn.analysis.interventions.doses.registry import DoseCase
from xattn.features.computed.nuclei import segment_nuclei
from xattn.features.computed.subject import UnmeasurableError
from xattn.images.masks import Mask
from xattn.stats.arrays import Floats

Place = tuple[int, tuple[float, float]]
"""The number of a nucleus, and by how many pixels (x, y) it is moved."""

FEWEST = 8
"""In a patch of fewer nuclei none are edited: their median size or number would jump."""
_LEAST_FREE = 0.1
"""Fraction of a patch that is no nucleus: from less it cannot be told what lies beneath them."""
_NEARNESS = ((1.0, 1.0), (4.0, 1e-2), (16.0, 1e-4), (64.0, 1e-6))
"""Standard deviations (in median radii) and weights of what the tissue beneath is taken from."""


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Nuclei, numbered from 0.

    Attributes:
        parts: (height, width), the number of the nucleus in each pixel, -1 where there is none.
        count: how many there are.
        free: (height, width), where neither a nucleus nor an artifact is.
    """

    parts: NDArray[np.int64]
    count: int
    free: Mask

    @property
    def as_they_are(self) -> list[Place]:
        """All of them where they are."""
        return [(number, (0.0, 0.0)) for number in range(self.count)]

    @property
    def mask(self) -> Mask:
        """Where any nucleus is."""
        return np.asarray(self.parts >= 0)

    @cached_property
    def areas(self) -> Floats:
        """Pixels of each, (count,)."""
        return np.bincount(self.parts[self.mask], minlength=self.count).astype(np.float64)

    @cached_property
    def radii(self) -> Floats:
        """Radius (pixels) of a disc as large as each, (count,)."""
        return np.asarray(np.sqrt(self.areas / np.pi))

    @cached_property
    def centres(self) -> Floats:
        """Centroid (x, y) of each, (count, 2)."""
        rows, cols = np.nonzero(self.mask)
        own = self.parts[rows, cols]
        sums = [np.bincount(own, place, minlength=self.count) for place in (cols, rows)]
        return np.asarray(np.stack(sums, axis=1) / self.areas[:, None])

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """First row, first column, and those after the last, of each, (count, 4)."""
        rows, cols = np.nonzero(self.mask)
        own = self.parts[rows, cols]
        found = np.empty((self.count, 4), dtype=np.int64)
        found[:, :2], found[:, 2:] = max(self.parts.shape), 0
        for place, values in enumerate((rows, cols)):
            np.minimum.at(found[:, place], own, values)
            np.maximum.at(found[:, place + 2], own, values + 1)
        return found


def nuclei_of(case: DoseCase) -> Nuclei | None:
    """Return the nuclei of an image, as the computed features find them, and their blurred borders.

    Args:
        case: the image.

    Returns:
        None if there are few, or if nearly all is nuclei.
    """
    if case.grey:
        return None
    try:
        found = segment_nuclei(case.pixels, case.artifacts)
    except UnmeasurableError:
        return None
    fringed = cv2.dilate(found.astype(np.float32), np.ones((3, 3), np.uint8))
    whole = np.where(found > 0, found, fringed.astype(np.int32))
    if case.artifacts is not None:
        whole[case.artifacts] = 0
    numbers, parts = np.unique(whole, return_inverse=True)
    own = parts.reshape(found.shape).astype(np.int64) - int(numbers[0] == 0)
    free = own < 0
    if case.artifacts is not None:
        free &= ~case.artifacts
    count = int(own.max()) + 1
    return Nuclei(own, count, free) if count >= FEWEST and free.mean() >= _LEAST_FREE else None


@dataclass(frozen=True, eq=False)
class Lifted:
    """An image as tissue without nuclei, and by how much the nuclei darken it.

    Attributes:
        case: the image.
        nuclei: of it.
    """

    case: DoseCase
    nuclei: Nuclei

    @cached_property
    def blank(self) -> Colours:
        """The image without nuclei, float32 (height, width, 3).

        Beneath them lies the mean of the tissue around, weighted by nearness, to any distance, or
        what was there where that is lighter.
        """
        weight = self.nuclei.free.astype(np.float32)
        shown = self.case.image * weight[..., None]
        total, seen = np.zeros_like(shown), np.zeros_like(weight)
        for radii, part in _NEARNESS:
            sigma = radii * float(np.median(self.nuclei.radii))
            total += np.float32(part) * cv2.GaussianBlur(shown, (0, 0), sigma)
            seen += np.float32(part) * cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = np.maximum(self.case.image, total / np.maximum(seen, 1e-12)[..., None])
        return np.where(self.nuclei.mask[..., None], mean, self.case.image)

    @cached_property
    def excess(self) -> Colours:
        """Density that nuclei have beyond the tissue beneath, (height, width, 3), 0 or more."""
        return np.asarray(np.log((self.blank + 1) / (self.case.image + 1)))

    def put_back(self, places: Iterable[Place], zoom: float = 1.0) -> Colours:
        """Return the image with nuclei put back; the darker one covers the other.

        Args:
            places: which nuclei, and by how many pixels (x, y) each is moved; as often as is said.
            zoom: by what each is scaled about its middle.

        Returns:
            float32 (height, width, 3); the image itself if nothing is changed.
        """
        density = np.zeros_like(self.excess)
        height, width = self.nuclei.parts.shape
        for number, (dx, dy) in places:
            x, y = self.nuclei.centres[number]
            top, left, bottom, right = map(int, self.nuclei.boxes[number])
            reach = zoom * max(x - left, right - x, y - top, bottom - y) + 2
            (y0, y1), (x0, x1) = (
                np.clip([int(c - reach), int(c + reach) + 2], 0, size)
                for c, size in ((y + dy, height), (x + dx, width))
            )
            if y0 == y1 or x0 == x1:  # moved out of the image
                continue
            place = np.s_[y0:y1, x0:x1]
            rows, cols = np.mgrid[place]
            from_x = (x - left + (cols - x - dx) / zoom).astype(np.float32)
            from_y = (y - top + (rows - y - dy) / zoom).astype(np.float32)
            box = np.s_[top:bottom, left:right]
            own = self.excess[box] * (self.nuclei.parts[box] == number)[..., None]
            there = cv2.remap(own, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
            density[place] = np.maximum(density[place], there)
        change = (self.blank + 1) * (np.exp(-density) - np.exp(-self.excess))
        if self.case.artifacts is not None:
            change[self.case.artifacts] = 0
        return np.asarray(np.clip(self.case.image + change, 0, 255), dtype=np.float32)
