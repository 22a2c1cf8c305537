"""The lesion's pigment: brown by thickness, with darker, bluish, reddish and pale parts."""

from __future__ import annotations

import numpy as np

from xattn.stats.seeds import generator_for
from xattn.synthetic.layers import BLOOD, Colour, Layer, absorb, cover
from xattn.synthetic.noise import Field, Rng, ramp
from xattn.synthetic.scene import Scene
from xattn.synthetic.spec import ImageSpec

_VEIL: Colour = (0.36, 0.38, 0.44)
"""Melanin deep in the skin scatters blue back."""


def draw_lesion(scene: Scene) -> list[Layer]:
    """Return the lesion's layers; its mask is the lesion mask.

    The level of `colour_variegation` sets how much the colours differ within the lesion.
    """
    rng = generator_for(scene.spec.seed, "lesion", scene.spec.lesion, "pigment")
    level = scene.spec.level("colour_variegation")
    hue: Colour = (rng.uniform(0.36, 0.56), 1.0, rng.uniform(1.35, 1.85))
    brown = _melanin(rng, scene, level)
    red = np.float32(rng.uniform(0, 0.04)) + np.float32(0.12 * level) * ramp(
        scene.lesion_noise(rng, 1.2), 0.3, 1.5
    )
    veil = np.float32(0.55 * max(0.0, 2 * level - 1)) * ramp(
        scene.lesion_noise(rng, 1.5, 3), 0.0, 2.0
    )
    return [
        absorb(brown, scene.window, hue),
        absorb(red * scene.body, scene.window, BLOOD),
        cover(veil * ramp(scene.depth, 0.1, 0.6), scene.window, _VEIL),
    ]


def thickness(spec: ImageSpec) -> float:
    """Return the typical melanin of the lesion, as optical density in green light."""
    rng = generator_for(spec.seed, "lesion", spec.lesion, "thickness")
    return float(np.clip(np.exp(rng.normal(np.log(0.68), 0.65)), 0.25, 2.2))


def _melanin(rng: Rng, scene: Scene, level: float) -> Field:
    mottle = np.float32(0.08 + 0.20 * level) * scene.lesion_noise(rng, 2.2, 2)
    mottle += np.float32(0.13) * scene.lesion_noise(rng, 12.0, 2)
    inner = np.float32(0.55) + np.float32(0.45) * ramp(scene.depth, 0.0, 0.9)
    dark = np.float32(1.8 * level**1.5) * ramp(scene.lesion_noise(rng, 1.4, 2), 0.3, 1.5)
    pale = np.float32(0.7 * level) * ramp(scene.lesion_noise(rng, 1.2), 0.6, 1.8)
    density: Field = np.float32(thickness(scene.spec)) * scene.body * inner * np.exp(mottle)
    density *= (1 + dark) * (1 - pale)
    return density
