"""The features that can be drawn, in their order of drawing: a registry and the drawing functions.

A new feature is a function under `@feature` in a file of this package:

    @feature("scar", kind="artifact", prevalence=0.1)
    def scar(rng: Rng, scene: Scene) -> list[Layer]: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from xattn.errors import UsageError
from xattn.registry import Registry, meaning_of
from xattn.synthetic.noise import Rng
from xattn.synthetic.spec import ImageSpec

if TYPE_CHECKING:
    from xattn.synthetic.layers import Layer
    from xattn.synthetic.scene import Scene

Draw = Callable[[Rng, "Scene"], list["Layer"]]


@dataclass(frozen=True)
class Feature:
    """Something that is present or absent, and that changes pixels where it is present.

    Attributes:
        name: as in annotation files.
        meaning: one line.
        kind: "structure" belongs to the lesion, and is in every image of it;
            "artifact" belongs to the one image.
        prevalence: fraction of images that have it, by default.
        effect: log odds ratio of presence, malignant against benign, if no effects are given.
        draw: (rng, scene) -> layers; must change at least one pixel.
    """

    name: str
    meaning: str
    kind: Literal["structure", "artifact"]
    prevalence: float
    effect: float
    draw: Draw


FEATURES: Registry[Feature] = Registry(
    "feature", package="xattn.synthetic.features", first=("structures", "artifacts")
)
"""By name, in the order of drawing: pigment first, then what lies on the skin and on the glass."""


def feature(
    name: str,
    *,
    kind: Literal["structure", "artifact"],
    prevalence: float,
    effect: float = 0.0,
    meaning: str = "",
) -> Callable[[Draw], Draw]:
    """Register a drawing function; see `Feature` for the arguments."""
    return FEATURES.register(
        name,
        lambda draw: Feature(name, meaning_of(draw, meaning), kind, prevalence, effect, draw),
    )


def with_features(spec: ImageSpec, *names: str) -> ImageSpec:
    """Return the same image with these features present as well.

    Raises:
        UsageError: there is no feature of a name.
    """
    return replace(spec, present=spec.present | _known(names))


def without_features(spec: ImageSpec, *names: str) -> ImageSpec:
    """Return the same image without these features.

    Raises:
        UsageError: there is no feature of a name.
    """
    return replace(spec, present=spec.present - _known(names))


OF_THE_IMAGE: dict[str, tuple[float, float]] = {
    "light": (-0.9, 1),
    "colour_cast": (-0.9, 1),
    "diameter": (-0.9, 1),
    "border_sharpness": (-0.9, 9),
    "shape_asymmetry": (-1, 5),
    "colour_variance": (-1, 2),
    "colour_asymmetry": (-1, 1),
}
"""What is in every image and can be more or less of, and how much less and more."""

LESION = "lesion"
"""Its strength is the opacity of the lesion with all its structures; 0 leaves the skin."""


def with_strength(spec: ImageSpec, name: str, strength: float) -> ImageSpec:
    """Return the same image in which one thing shows more or less strongly: a true counterfactual.

    Args:
        spec: of the image.
        name: of a feature, or "lesion", whose opacity it is then (0 to 1), or of `OF_THE_IMAGE`:
            the fraction by which there is more of it, such as 0.1. The sharpness of the border is
            one over its width; the asymmetry of the shape that part of the outline which is not
            its own mirror image; the variance of colours their distance from the mean pigment.
            The asymmetry of colours is no fraction: -1 makes them their own mirror image, 1 lays
            them to one side.
        strength: how strongly.

    Raises:
        UsageError: there is nothing of the name, or the strength is out of range.
    """
    if name in OF_THE_IMAGE:
        low, high = OF_THE_IMAGE[name]
        if not low <= strength <= high:
            raise UsageError(
                f"Expected a strength in [{low:g}, {high:g}] of {name}, but got {strength}"
            )
    elif not 0 <= strength <= 1:
        raise UsageError(f"Expected an opacity in [0, 1] of {name}, but got {strength}")
    elif name != LESION:
        _known((name,))
    return replace(spec, strength={**spec.strength, name: strength})


PLACING = ("size", "right", "down")
"""Ends of the names of strengths that say how an artifact is drawn: `ruler.size`."""


def with_placing(
    spec: ImageSpec, name: str, *, size: float = 0.0, right: float = 0.0, down: float = 0.0
) -> ImageSpec:
    """Return the same image with an artifact larger, smaller or elsewhere: a true counterfactual.

    Args:
        spec: of the image.
        name: of the artifact.
        size: by what fraction it is larger, such as -0.5; where the border of the image cuts it,
            it stays cut there.
        right, down: by what fraction of the image's diagonal it is moved.

    Raises:
        UsageError: there is no artifact of the name, or nothing would be left of it.
    """
    if FEATURES.find(name).kind != "artifact":
        raise UsageError(f"Expected an artifact to put elsewhere, but got the structure {name!r}")
    if not size > -1:
        raise UsageError(f"Expected a size above -1 of {name}, but got {size}")
    values = dict(zip(PLACING, (size, right, down), strict=True))
    return replace(
        spec, strength={**spec.strength, **{f"{name}.{what}": v for what, v in values.items()}}
    )


def _known(names: tuple[str, ...]) -> set[str]:
    return {FEATURES.find(name).name for name in names}
