"""Colour patches: plain stickers, in colours that skin does not have, at the image's edge."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.features.detected.framed_image import FramedImage, disc
from xattn.features.detected.parts import parts_of
from xattn.features.detected.registry import RawDetection, detector

_FOREIGN = 25.0
"""Distance in the a*, b* plane from the image's median colour."""
_BLACK = 22.0
_SMOOTH = 15


@detector(
    "patches",
    middle=-3.8,
    spread=1.0,
    meaning="a large plain area at the image's edge whose colour is not the skin's",
    source="Bissoto et al. 2020; Rieger et al. 2020; ours",
    overlap=0.96,
    domains=("dermoscopy",),
)
def patches(image: FramedImage) -> RawDetection:
    """Measure the largest area of foreign colour at the edge: log of its fraction of the image.

    Opening with a disc of 15 pixels leaves out ink, whose strokes are narrower.
    """
    seen = image.light > _BLACK
    if not seen.any():
        return RawDetection(np.log(1e-4), seen)
    colour = image.lab[..., 1:]
    foreign = np.hypot(*np.moveaxis(colour - np.median(colour[seen], axis=0), -1, 0)) > _FOREIGN
    # Edges are carried on, so that a patch that the image cuts is not opened away there.
    wide = np.pad((foreign & seen).astype(np.uint8), _SMOOTH, mode="edge")
    wide = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    wide = cv2.morphologyEx(wide, cv2.MORPH_OPEN, disc(_SMOOTH))
    found = parts_of(wide[_SMOOTH:-_SMOOTH, _SMOOTH:-_SMOOTH].astype(bool))
    left, top, width, height = found.box.T
    at_edge = (left == 0) | (top == 0)
    at_edge |= (left + width == foreign.shape[1]) | (top + height == foreign.shape[0])
    largest = float(found.area[at_edge].max(initial=0)) / foreign.size
    return RawDetection(float(np.log(1e-4 + largest)), found.mask(at_edge))
