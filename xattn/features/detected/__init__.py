"""Detectors of artifacts that nobody annotated: hair, ruler, patches, ink, dark corner, bubbles.

Classical image processing, no learning: each looks for one thing, with few constants, which were
set on one random half of ISIC 2018; how well they do on the other half stands in docs/features.md.
A new detector is a function:

    @detector("name", middle=1.0, spread=0.5, looks_for="...", source="Author et al. 2020")
    def name(picture: Picture) -> Found:
        ...
"""

from xattn.features.detected import (  # noqa: F401  they register
    dark_corner,
    gel_bubble,
    hair,
    ink,
    patches,
    ruler,
)
from xattn.features.detected.picture import Picture
from xattn.features.detected.registry import (
    DETECTORS,
    PRESENT,
    Detection,
    Detector,
    detect,
    find_detectors,
)

__all__ = [
    "DETECTORS",
    "PRESENT",
    "Detection",
    "Detector",
    "Picture",
    "detect",
    "find_detectors",
]
