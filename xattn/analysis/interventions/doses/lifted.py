"""An artifact lifted out of an image and put back larger, smaller or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from xattn.analysis.interventions.doses.colours import Colours
from xattn.analysis.interventions.doses.registry import Altered, AtDose, DoseCase
from xattn.analysis.interventions.pixels import Mask, inpainted, widened
from xattn.stats.arrays import Floats

Shift = tuple[int, int]
"""By how many pixels (x, y) an artifact is moved."""

_MOST, _SPAN = 0.25, 0.7
"""Of a larger part of the image, or of its height or width, an artifact is not lifted: hairs all
over, dark corners."""
_NEWLY_COVERED = 0.01
"""So much of the lesion an artifact may cover that it did not cover before."""
_KEPT = 0.98
"""So much of an artifact must stay in the image."""
_FEATHER = 1.0


@dataclass(frozen=True, eq=False)
class LiftedArtifact:
    """An artifact that can be lifted.

    Attributes:
        case: the image, with the artifact as its mask.
    """

    case: DoseCase

    @cached_property
    def blank(self) -> Colours:
        """The image without it, filled from what surrounds it."""
        return inpainted(self.case.pixels, self.case.mask).astype(np.float32)

    @cached_property
    def weight(self) -> Colours:
        """How much of each pixel is lifted, (height, width): all that the filling changes."""
        core = widened(self.case.mask).astype(np.float32)
        soft = cv2.GaussianBlur(widened(self.case.mask, 3).astype(np.float32), (0, 0), _FEATHER)
        return np.asarray(np.maximum(core, soft), dtype=np.float32)

    @cached_property
    def touches(self) -> tuple[bool, bool, bool, bool]:
        """Whether it reaches the top, left, bottom and right of the image."""
        mask = self.case.mask
        return tuple(bool(e.any()) for e in (mask[0], mask[:, 0], mask[-1], mask[:, -1]))  # type: ignore[return-value]

    @cached_property
    def anchor(self) -> Floats:
        """Its centroid (x, y), on the border of the image where it reaches that."""
        rows, cols = np.nonzero(self.case.mask)
        height, width = self.case.mask.shape
        top, left, bottom, right = self.touches
        x = 0.0 if left else width - 1.0 if right else float(cols.mean())
        y = 0.0 if top else height - 1.0 if bottom else float(rows.mean())
        return np.array([x, y])

    def put(self, shift: Shift = (0, 0), zoom: float = 1.0) -> Altered:
        """Return the image with it elsewhere, or of another size.

        Args:
            shift: by how many pixels (x, y) it is moved.
            zoom: by what it is scaled about its anchor.

        Returns:
            The image, as it was at no shift and zoom 1, and where the artifact is now.
        """
        rows, cols = np.indices(self.case.mask.shape)
        x0, y0 = self.anchor
        x = (x0 + (cols - shift[0] - x0) / zoom).astype(np.float32)
        y = (y0 + (rows - shift[1] - y0) / zoom).astype(np.float32)
        weight = cv2.remap(self.weight, x, y, cv2.INTER_LINEAR)[..., None]
        channels = [
            cv2.remap(one, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for one in np.moveaxis(self.case.image, -1, 0)
        ]
        there = np.stack(channels, axis=-1)
        image = np.clip(self.blank + weight * (there - self.blank), 0, 255)
        mask = cv2.remap(self.case.mask.astype(np.float32), x, y, cv2.INTER_LINEAR) >= 0.5
        return Altered(np.asarray(image, dtype=np.float32), mask=np.asarray(mask))

    def moved(self, shift: Shift) -> Mask | None:
        """Return where it would be; None if it would leave the image or come over the lesion.

        Args:
            shift: by how many pixels (x, y) it is moved.
        """
        x, y = shift
        height, width = self.case.mask.shape
        there = np.zeros_like(self.case.mask)
        rows, cols = np.nonzero(self.case.mask)
        rows, cols = rows + y, cols + x
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        there[rows[inside], cols[inside]] = True
        whole = inside.mean() >= _KEPT
        return there if whole and not self.covers_more(there) else None

    def mover(self, shifts: Mapping[float, Shift]) -> AtDose:
        """Return what moves it at each dose; between two doses, to between their places.

        Args:
            shifts: dose -> by how many pixels (x, y), without 0.
        """
        places = {0.0: (0, 0), **shifts}
        known = sorted(places)

        def at(dose: float) -> Altered:
            x, y = (np.interp(dose, known, [places[one][i] for one in known]) for i in (0, 1))
            return self.put((round(float(x)), round(float(y))))

        return at

    def covers_more(self, mask: Mask) -> bool:
        """Whether a mask covers much of the lesion that the artifact did not cover.

        Args:
            mask: (height, width).
        """
        lesion = self.case.lesion
        if lesion is None or not lesion.any():
            return False
        newly = mask & lesion & ~self.case.mask
        return bool(newly.sum() > _NEWLY_COVERED * lesion.sum())


def lifted_artifact(case: DoseCase) -> LiftedArtifact | None:
    """Return the artifact of an image, if it does not span the image.

    Args:
        case: the image, with the artifact as its mask.
    """
    rows, cols = np.flatnonzero(case.mask.any(axis=1)), np.flatnonzero(case.mask.any(axis=0))
    if not len(rows) or widened(case.mask).mean() > _MOST:
        return None
    height, width = case.mask.shape
    if np.ptp(rows) > _SPAN * height or np.ptp(cols) > _SPAN * width:
        return None
    return LiftedArtifact(case)
