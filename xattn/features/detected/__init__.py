"""Detectors of artifacts that nobody annotated: hair, ruler, patches, ink, dark corner, bubbles.

Classical image processing, no learning: each looks for one thing, with few constants, which were
set on one random half of ISIC 2018; how well they do on the other half stands in docs/features.md.
How one is added: docs/extending.md.
"""

from xattn.features.detected.framed_image import FramedImage
from xattn.features.detected.registry import (
    DETECTORS,
    PRESENT,
    Detection,
    Detector,
    RawDetection,
    detect,
    detector,
    find_detectors,
)

__all__ = [
    "DETECTORS",
    "PRESENT",
    "Detection",
    "Detector",
    "FramedImage",
    "RawDetection",
    "detect",
    "detector",
    "find_detectors",
]
