"""Other shapes of features: the same thing drawn another way, for a network to look for.

What is found about square stickers should be what is found about round ones; only whoever holds a
half of their images back can say. A new shape is a function under `@shape` in a file of this
package:

    @shape("square-patches", of="patches")
    def square_patches(rng: Rng, scene: Scene) -> list[Layer]: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from xattn.errors import UsageError
from xattn.registry import Registry, meaning_of
from xattn.synthetic.features import FEATURES, Draw
from xattn.synthetic.spec import ImageSpec


@dataclass(frozen=True)
class Shape:
    """Another way to draw a feature.

    Attributes:
        name: of the shape.
        meaning: one line.
        of: the feature that it is a shape of.
        draw: as `Feature.draw`.
    """

    name: str
    meaning: str
    of: str
    draw: Draw


SHAPES: Registry[Shape] = Registry(
    "shape", package="xattn.synthetic.shapes", first=("artifacts", "structures")
)
"""By name."""


def shape(name: str, *, of: str, meaning: str = "") -> Callable[[Draw], Draw]:
    """Register a drawing function; see `Shape` for the arguments."""
    return SHAPES.register(name, lambda draw: Shape(name, meaning_of(draw, meaning), of, draw))


def with_shapes(spec: ImageSpec, *names: str) -> ImageSpec:
    """Return the same image with its features in these shapes, where it has them.

    Args:
        spec: of the image.
        names: of shapes, at most one of a feature.

    Raises:
        UsageError: there is no shape of a name, or two of one feature.
    """
    chosen: dict[str, str] = {}
    for name in names:
        of = SHAPES.find(name).of
        if of in chosen:
            raise UsageError(f"Expected one shape of {of}, but got {chosen[of]!r} and {name!r}")
        chosen[of] = name
    return replace(spec, shapes={**spec.shapes, **chosen})


def drawing_of(spec: ImageSpec, feature: str) -> Draw:
    """Return what draws a feature of an image."""
    name = spec.shapes.get(feature)
    return FEATURES[feature].draw if name is None else SHAPES[name].draw
