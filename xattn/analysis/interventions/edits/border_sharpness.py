"""The lesion's border is blurred or sharpened, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    laid_elsewhere,
    lesion_of,
)
from xattn.images.domains import SKIN

_BLUR, _BAND = 0.05, 0.12
"""Standard deviation of the blur and half width of the band, in diameters of the lesion's area."""


@graded_edit(
    "border-sharpness",
    feature="abrupt_border",
    doses=(-1.0, -0.5, 0.5, 1.0),
    unit="detail along the border",
    domains=SKIN,
)
def border_sharpness(case: DoseCase) -> Dosed | None:
    """Take detail from the border, or add it; control: the same change on skin.

    At -1 a band along the border is blurred; at 1 as much is added as the blur takes away.
    """
    if (subject := lesion_of(case)) is None:
        return None
    width = float(np.sqrt(4 * subject.area / np.pi))
    smooth = cv2.GaussianBlur(case.image, (0, 0), max(1.0, _BLUR * width))
    reach = max(3.0, _BAND * width)
    weight = np.exp(-((subject.distance / reach) ** 4)).astype(np.float32)[..., None]
    detail = weight * (case.image - np.asarray(smooth, dtype=np.float32))

    def edit(dose: float) -> Altered:
        return Altered(np.clip(case.image + np.float32(dose) * detail, 0, 255))

    return Dosed(edit, laid_elsewhere(case, edit))
