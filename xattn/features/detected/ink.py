"""Marks of a surgical pen (gentian violet)."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.features.detected.framed_image import FramedImage
from xattn.features.detected.patches import patches
from xattn.features.detected.registry import RawDetection, detector
from xattn.images.domains import SKIN
from xattn.images.masks import Mask

_AROUND = 61
_VIOLET = 12.0
_BLACK = 20.0
_NOT_GREEN = 3.0
"""a* may be so much below the image's median: violet is not; green and turquoise patches are."""


@detector(
    "ink",
    middle=-5.3,
    spread=1.44,
    meaning="strokes that are more violet than what surrounds them",
    source="hue of marker ink in CIELAB; Winkler et al. 2019 on why it matters; ours",
    overlap=0.33,
    domains=SKIN,
)
def ink(image: FramedImage) -> RawDetection:
    """Measure where a* - b* exceeds the median around it by 12, and b* is below the image's.

    Comparing with the surroundings leaves out lesions of a blue or grey cast, which are wider;
    colour patches, which are not always, are cut out. The evidence is the log of the fraction of
    such pixels.
    """
    light, a, b = np.moveaxis(image.lab, -1, 0)
    seen = light > _BLACK
    if not seen.any():
        return RawDetection(float(np.log(1e-4)), seen)
    # 8 bits with two steps a unit: OpenCV's median of wide windows takes no other type.
    violet = np.clip(cv2.blur(a - b, (2, 2)) * 2 + 128, 0, 255).astype(np.uint8)
    around = cv2.medianBlur(violet, _AROUND)
    excess = (violet.astype(np.float32) - around) / 2
    hue = (b < np.median(b[seen])) & (a > np.median(a[seen]) - _NOT_GREEN)
    mask = (excess > _VIOLET) & hue & seen & image.inner & ~_widened(patches(image).mask)
    return RawDetection(float(np.log(1e-4 + mask.mean())), mask)


def _widened(mask: Mask | None) -> Mask:
    return np.asarray(cv2.dilate(np.asarray(mask, np.uint8), np.ones((9, 9), np.uint8)), dtype=bool)
