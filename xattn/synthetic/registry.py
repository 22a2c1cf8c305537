"""The features that can be drawn: a dict, filled by a decorator on each drawing function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from xattn.synthetic.noise import Rng

if TYPE_CHECKING:
    from xattn.synthetic.layers import Layer
    from xattn.synthetic.scene import Scene

Draw = Callable[[Rng, "Scene"], list["Layer"]]


@dataclass(frozen=True)
class Feature:
    """Something that is present or absent, and that changes pixels where it is present.

    Attributes:
        name: as in annotation files.
        kind: "structure" belongs to the lesion, and is in every image of it;
            "artifact" belongs to the one image.
        prevalence: share of images that have it, by default.
        effect: log odds ratio of presence, malignant against benign, if no effects are given.
        draw: (rng, scene) -> layers; must change at least one pixel.
    """

    name: str
    kind: Literal["structure", "artifact"]
    prevalence: float
    effect: float
    draw: Draw


FEATURES: dict[str, Feature] = {}
"""By name, in the order of drawing: what comes later covers what came before."""


def feature(
    kind: Literal["structure", "artifact"], *, prevalence: float, effect: float = 0.0
) -> Callable[[Draw], Draw]:
    """Register a drawing function under its own name; see `Feature` for the arguments."""

    def register(draw: Draw) -> Draw:
        FEATURES[draw.__name__] = Feature(draw.__name__, kind, prevalence, effect, draw)
        return draw

    return register
