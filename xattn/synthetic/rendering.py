"""From what was drawn about an image to its pixels and exact masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xattn.errors import UsageError
from xattn.stats.seeds import generator_for
from xattn.synthetic.features import FEATURES, LESION, PLACING, Feature
from xattn.synthetic.layers import Layer, Placing, compose, placed, weakened
from xattn.synthetic.lesion import draw_lesion
from xattn.synthetic.scene import Scene, build_scene
from xattn.synthetic.shapes import drawing_of
from xattn.synthetic.skin import draw_camera, draw_skin
from xattn.synthetic.spec import ImageSpec

SMALLEST = 64
"""Shortest side (pixels) at which every structure can still be drawn."""


@dataclass(frozen=True)
class Rendered:
    """An image and where everything in it is.

    Attributes:
        image: uint8 RGB (height, width, 3).
        lesion: mask (height, width) of the lesion's pigment.
        masks: by feature, for the features present: mask (height, width). A mask holds exactly
            the pixels whose 8-bit value is another if that feature alone is not drawn; what a
            later feature hides wholly is not in it.
    """

    image: NDArray[np.uint8]
    lesion: NDArray[np.bool_]
    masks: Mapping[str, NDArray[np.bool_]]


def render(
    spec: ImageSpec,
    size: tuple[int, int] = (192, 256),
    borrowed: Mapping[str, ImageSpec] | None = None,
) -> Rendered:
    """Draw an image with its masks; the same spec and size give the same pixels.

    `render(without_features(spec, "patches"))` is the counterfactual: no other pixels change than
    those of `render(spec).masks["patches"]`.

    Args:
        spec: from `Plan.draw`.
        size: (height, width) in pixels, each at least 64.
        borrowed: artifacts that are drawn as they lie in another image, by name: the truth of one
            that was cut out there and pasted in here.

    Raises:
        UsageError: the size is too small.
    """
    check_size(size)
    scene = build_scene(spec, size)
    opacity = spec.strength.get(LESION, 1.0)
    drawn = {LESION: [weakened(layer, opacity) for layer in draw_lesion(scene)]}
    drawn |= _draw_features(scene, borrowed or {})
    flat, flat_masks = compose(draw_skin(scene), list(drawn.values()), draw_camera(scene))
    image = np.ascontiguousarray(flat.reshape(3, *size).transpose(1, 2, 0))
    masks = {name: mask.reshape(size) for name, mask in zip(drawn, flat_masks, strict=True)}
    return Rendered(image, masks.pop(LESION), masks)


def check_size(size: tuple[int, int]) -> None:
    """Raise `UsageError` if images of this (height, width) cannot be drawn."""
    if min(size) < SMALLEST:
        raise UsageError(
            f"Expected a size of at least {SMALLEST} x {SMALLEST} pixels, but got "
            f"{size[0]} x {size[1]}"
        )


def _draw_features(scene: Scene, borrowed: Mapping[str, ImageSpec]) -> dict[str, list[Layer]]:
    """Draw all that is present but the lesion; artifacts stay where they are if that is altered."""
    spec = scene.spec
    unaltered = build_scene(replace(spec, strength={}), scene.size) if spec.strength else scene
    drawn = {}
    for name, feature in FEATURES.items():
        if name in borrowed:
            drawn[name] = _layers(feature, build_scene(borrowed[name], scene.size))
        elif name in spec.present:
            opacity = spec.strength.get(name, 1.0)
            if feature.kind == "structure":
                opacity *= spec.strength.get(LESION, 1.0)
            there = scene if feature.kind == "structure" else unaltered
            layers = _placed(name, spec, _layers(feature, there), scene.size)
            drawn[name] = [weakened(layer, opacity) for layer in layers]
    return drawn


def _placed(name: str, spec: ImageSpec, layers: list[Layer], size: tuple[int, int]) -> list[Layer]:
    """Lay an artifact larger, smaller or elsewhere, as its strengths of these names say.

    It is scaled about its middle, or, where the border of the image cuts it, about the border.
    """
    larger, right, down = (spec.strength.get(f"{name}.{what}", 0.0) for what in PLACING)
    if not (larger or right or down):
        return layers
    height, width = size
    rows, cols = np.divmod(np.unique(np.concatenate([one.pixels for one in layers])), width)
    ends = ((cols, width - 1), (rows, height - 1))
    x, y = (
        0.0 if place.min() == 0 else float(last) if place.max() == last else float(place.mean())
        for place, last in ends
    )
    diagonal = float(np.hypot(height, width))
    placing = Placing(1 + larger, (right * diagonal, down * diagonal), (x, y))
    return [placed(layer, size, placing) for layer in layers]


def _layers(feature: Feature, scene: Scene) -> list[Layer]:
    spec = scene.spec
    home = ("lesion", spec.lesion) if feature.kind == "structure" else ("image", spec.index)
    draw = drawing_of(spec, feature.name)
    return draw(generator_for(spec.seed, *home, "drawing", feature.name), scene)
