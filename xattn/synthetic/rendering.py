"""From what was drawn about an image to its pixels and exact masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.errors import UsageError
from xattn.stats.seeds import generator_for
from xattn.synthetic.features import FEATURES
from xattn.synthetic.layers import Layer, compose, weakened
from xattn.synthetic.lesion import draw_lesion
from xattn.synthetic.scene import Scene, build_scene
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


def render(spec: ImageSpec, size: tuple[int, int] = (192, 256)) -> Rendered:
    """Draw an image with its masks; the same spec and size give the same pixels.

    `render(without_features(spec, "patches"))` is the counterfactual: no other pixels change than
    those of `render(spec).masks["patches"]`.

    Args:
        spec: from `Plan.draw`.
        size: (height, width) in pixels, each at least 64.

    Raises:
        UsageError: the size is too small.
    """
    check_size(size)
    scene = build_scene(spec, size)
    drawn = {"lesion": draw_lesion(scene)} | _draw_features(scene)
    flat, flat_masks = compose(draw_skin(scene), list(drawn.values()), draw_camera(scene))
    image = np.ascontiguousarray(flat.reshape(3, *size).transpose(1, 2, 0))
    masks = {name: mask.reshape(size) for name, mask in zip(drawn, flat_masks, strict=True)}
    return Rendered(image, masks.pop("lesion"), masks)


def check_size(size: tuple[int, int]) -> None:
    """Raise `UsageError` if images of this (height, width) cannot be drawn."""
    if min(size) < SMALLEST:
        raise UsageError(
            f"Expected a size of at least {SMALLEST} x {SMALLEST} pixels, but got "
            f"{size[0]} x {size[1]}"
        )


def _draw_features(scene: Scene) -> dict[str, list[Layer]]:
    spec = scene.spec
    home = {"structure": ("lesion", spec.lesion), "artifact": ("image", spec.index)}
    return {
        name: [
            weakened(layer, spec.strength.get(name, 1.0))
            for layer in feature.draw(
                generator_for(spec.seed, *home[feature.kind], "drawing", name), scene
            )
        ]
        for name, feature in FEATURES.items()
        if name in spec.present
    }
