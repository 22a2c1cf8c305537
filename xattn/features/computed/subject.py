"""One image with its lesion, and what several measures need of it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.features.detected.dark_corner import dark_field
from xattn.features.detected.framed_image import FramedImage
from xattn.images.domains import NEUTRAL, Words
from xattn.images.masks import Mask
from xattn.stats.arrays import Floats

Lab = NDArray[np.float32]

FEWEST_PIXELS = 100
"""A smaller lesion, or less healthy skin, is not measured."""
_SKIN_PIXELS = 4000
_MARGIN = 0.04
"""Healthy skin begins so far (of the long side) from the lesion: masks are drawn tightly."""
_GLARE, _BLACK = 97.0, 15.0
"""L* of what is too bright or too dark to be skin: reflections, hair and marks without a mask."""


class UnmeasurableError(ValueError):
    """A feature cannot be measured in this image; the message is the reason, to be counted."""


@dataclass(frozen=True, eq=False)
class Subject(FramedImage):
    """An image, at its own aspect ratio, and its lesion.

    Attributes:
        mask: lesion mask (h, w).
        artifacts: (h, w), where artifacts lie, or None if nothing is known of them.
        words: what reasons call the lesion.
    """

    mask: Mask
    artifacts: Mask | None = None
    words: Words = NEUTRAL

    @cached_property
    def lesion(self) -> Mask:
        """The largest connected part of the mask.

        Raises:
            UnmeasurableError: it is empty or tiny.
        """
        if not self.mask.any():
            raise UnmeasurableError(f"the {self.words.lesion} mask is empty")
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            self.mask.astype(np.uint8), connectivity=8
        )
        areas = stats[1:count, cv2.CC_STAT_AREA]
        if areas.max() < FEWEST_PIXELS:
            raise UnmeasurableError(
                f"the {self.words.lesion} has fewer than {FEWEST_PIXELS} pixels"
            )
        return np.asarray(labels == 1 + int(areas.argmax()))

    @cached_property
    def cut(self) -> bool:
        """Whether the lesion reaches the edge of the image, so that its shape is not known."""
        edges = self.lesion[0], self.lesion[-1], self.lesion[:, 0], self.lesion[:, -1]
        return any(bool(edge.any()) for edge in edges)

    @cached_property
    def area(self) -> int:
        """Pixels of the lesion."""
        return int(self.lesion.sum())

    @cached_property
    def centre(self) -> Floats:
        """Centroid (x, y) of the lesion."""
        return np.asarray(self._points.mean(axis=0))

    @cached_property
    def axes(self) -> Floats:
        """Principal axes of the lesion, rows (x, y), the longer first; not unique for a disc."""
        _, vectors = np.linalg.eigh(np.cov((self._points - self.centre).T))
        return np.asarray(vectors[:, ::-1].T)

    @cached_property
    def outline(self) -> Floats:
        """Border pixels (n, 2) as (x, y), in order round the lesion."""
        found, _ = cv2.findContours(
            self.lesion.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        return np.asarray(max(found, key=len)[:, 0], dtype=np.float64)

    @cached_property
    def distance(self) -> NDArray[np.float32]:
        """Distance (pixels) from the border, negative inside the lesion."""
        inside = self.lesion.astype(np.uint8)
        outward = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
        inward = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
        return np.asarray(np.where(self.lesion, 0.5 - inward, outward - 0.5), dtype=np.float32)

    @cached_property
    def clean(self) -> Mask:
        """Where no artifact is known."""
        if self.artifacts is None:
            return np.ones(self.mask.shape, dtype=bool)
        return ~cv2.dilate(self.artifacts.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)

    @cached_property
    def skin(self) -> Mask:
        """Healthy skin: off the lesion, artifacts, dark corners, reflections and dark marks.

        Raises:
            UnmeasurableError: too little is left.
        """
        light = self.light
        skin = self.distance > _MARGIN * max(self.mask.shape)
        skin &= ~self.mask & self.clean & (light < _GLARE) & (light > _BLACK)
        skin &= ~dark_field(light)
        if skin.sum() < max(FEWEST_PIXELS, 0.01 * skin.size):
            raise UnmeasurableError("there is too little healthy skin in the image")
        return np.asarray(skin)

    @cached_property
    def skin_colours(self) -> Lab:
        """L*, a*, b* (n, 3) of healthy skin, at most about 4,000 pixels evenly over it.

        Raises:
            UnmeasurableError: there is too little of it.
        """
        place = np.flatnonzero(self.skin)
        place = place[:: max(1, len(place) // _SKIN_PIXELS)]
        return np.asarray(self.lab.reshape(-1, 3)[place])

    @cached_property
    def skin_colour(self) -> Floats:
        """Median L*, a*, b* of healthy skin."""
        return np.asarray(np.median(self.skin_colours, axis=0), dtype=np.float64)

    @cached_property
    def lesion_colours(self) -> Lab:
        """L*, a*, b* (n, 3) of the lesion's pixels that no artifact is known to cover.

        Raises:
            UnmeasurableError: there are too few.
        """
        colours = self.lab[self.lesion & self.clean]
        if len(colours) < FEWEST_PIXELS:
            raise UnmeasurableError(f"artifacts cover the {self.words.lesion}")
        return np.asarray(colours)

    @cached_property
    def _points(self) -> Floats:
        return np.argwhere(self.lesion)[:, ::-1].astype(np.float64)
