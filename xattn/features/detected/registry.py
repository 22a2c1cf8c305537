"""The detectors by name, each registered by a decorator on its detecting function.

One artifact a file, in this package:

    @detector("name", middle=1.0, spread=0.5, source="Author et al. 2020", meaning="...")
    def name(image: FramedImage) -> RawDetection:
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xattn.features.detected.framed_image import FramedImage
from xattn.images.masks import Mask
from xattn.registry import Registry, meaning_of

PRESENT = 0.5
"""Score from which an artifact counts as present, where yes or no is asked."""


@dataclass(frozen=True)
class RawDetection:
    """What a detector measured.

    Attributes:
        evidence: any number that grows with how sure it is.
        mask: (h, w), where it was found; None if the detector cannot say.
    """

    evidence: float
    mask: Mask | None = None


Look = Callable[[FramedImage], RawDetection]


@dataclass(frozen=True)
class Detection:
    """An artifact looked for in one image.

    Attributes:
        score: 0 to 1; about the probability of a human flag in ISIC 2018.
        mask: (h, w), where it may be, whatever the score; None if the detector cannot say.
    """

    score: float
    mask: Mask | None


@dataclass(frozen=True)
class Detector:
    """One detector.

    Attributes:
        name: of the artifact, as in annotation files.
        meaning: what it looks for, in one line.
        source: paper that the idea comes from.
        middle, spread: score = 1 / (1 + exp((middle - evidence) / spread)): a logistic regression
            of the human flags of the development half of ISIC 2018 on the evidence.
        function: image -> what was found.
        overlap: median IoU of its masks with annotated ones in images that it was not set on; the
            least fraction of an artifact that its mask can be relied on to hold. None where it has
            not been measured.
        domains: names of `xattn.images.domains.DOMAINS` that it is for; () for all.
    """

    name: str
    meaning: str
    source: str
    middle: float
    spread: float
    function: Look
    overlap: float | None = None
    domains: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of it as plain JSON values, without the function."""
        facts = asdict(self)
        del facts["function"]
        return facts | {"domains": list(self.domains)}

    def __call__(self, image: FramedImage) -> Detection:
        """Look for the artifact."""
        found = self.function(image)
        odds = np.clip((self.middle - found.evidence) / self.spread, -700, 700)
        return Detection(float(1 / (1 + np.exp(odds))), found.mask)


DETECTORS: Registry[Detector] = Registry(
    "detector",
    package="xattn.features.detected",
    first=("dark_corner", "gel_bubble", "hair", "patches", "ink", "ruler"),
)
"""By name of the artifact."""


def detector(
    name: str,
    *,
    middle: float,
    spread: float,
    source: str,
    meaning: str = "",
    overlap: float | None = None,
    domains: tuple[str, ...] = (),
) -> Callable[[Look], Look]:
    """Register a detecting function; see `Detector` for the arguments."""
    return DETECTORS.register(
        name,
        lambda function: Detector(
            name, meaning_of(function, meaning), source, middle, spread, function, overlap, domains
        ),
    )


def find_detectors(names: Sequence[str] | None = None) -> list[Detector]:
    """Return detectors by name, all by default.

    Args:
        names: of the artifacts.

    Raises:
        UsageError: there is none of this name.
    """
    return [DETECTORS.find(name) for name in (DETECTORS if names is None else names)]


def detect(image: FramedImage, names: Sequence[str] | None = None) -> dict[str, Detection]:
    """Look for artifacts in one image, all that are known by default.

    Args:
        image: in its frame.
        names: of the artifacts.

    Returns:
        By name, scores in [0, 1] and masks.

    Raises:
        UsageError: there is no detector of this name.
    """
    return {d.name: d(image) for d in find_detectors(names)}
