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

    The level of `colour_variegation` sets how much the colours differ within the lesion; the
    strengths of "colour_variance" and "colour_asymmetry" spread and lay them otherwise.
    """
    rng = generator_for(scene.spec.seed, "lesion", scene.spec.lesion, "pigment")
    level = scene.spec.level("colour_variegation")
    hue: Colour = (rng.uniform(0.36, 0.56), 1.0, rng.uniform(1.35, 1.85))
    brown = _melanin(rng, scene, level)
    red = np.float32(rng.uniform(0, 0.04)) + np.float32(0.12 * level) * ramp(
        _laid(rng, scene, 1.2), 0.3, 1.5
    )
    veil = np.float32(0.55 * max(0.0, 2 * level - 1)) * ramp(_laid(rng, scene, 1.5, 3), 0.0, 2.0)
    return [
        absorb(_spread(scene, brown), scene.window, hue),
        absorb(_spread(scene, red * scene.body), scene.window, BLOOD),
        cover(
            np.minimum(_spread(scene, veil * ramp(scene.depth, 0.1, 0.6)), np.float32(1)),
            scene.window,
            _VEIL,
        ),
    ]


def thickness(spec: ImageSpec) -> float:
    """Return the typical melanin of the lesion, as optical density in green light."""
    rng = generator_for(spec.seed, "lesion", spec.lesion, "thickness")
    return float(np.clip(np.exp(rng.normal(np.log(0.68), 0.65)), 0.25, 2.2))


def _laid(rng: Rng, scene: Scene, cells: float, octaves: int = 1, side: float = 1.0) -> Field:
    """Return a field of deviation 1 over the lesion: noise, more or less its own mirror image.

    A `side` of -1 lies opposite one of 1, where the strength of "colour_asymmetry" lays colours to
    one side.
    """
    more = scene.spec.strength.get("colour_asymmetry", 0.0)
    if more < 0:
        state = rng.bit_generator.state
        mirrored = scene.mirrored_noise(rng, cells, octaves)
        rng.bit_generator.state = state
        noise = scene.lesion_noise(rng, cells, octaves)
        # A field and its mirrored self correlate by 1/2.
        size = ((1 + more) ** 2 + more**2 - more * (1 + more)) ** 0.5
        mixed = np.float32((1 + more) / size) * noise - np.float32(more / size) * mirrored
        return np.asarray(mixed, np.float32)
    noise = scene.lesion_noise(rng, cells, octaves)
    if more == 0:
        return noise
    own = generator_for(scene.spec.seed, "lesion", scene.spec.lesion, "side")
    angle = own.uniform(0, 2 * np.pi)
    along = np.float32(np.cos(angle)) * scene.u + np.float32(np.sin(angle)) * scene.v
    gradient = np.float32(2 * side * more) * along  # of deviation 1 over a disc of radius 1
    return np.asarray(np.float32((1 - more**2) ** 0.5) * noise + gradient, np.float32)


def _spread(scene: Scene, amount: Field) -> Field:
    """Move pigment away from its mean over the lesion, or towards it; its border fades as before.

    Args:
        scene: of the image.
        amount: of a pigment, 0 outside the lesion.
    """
    more = scene.spec.strength.get("colour_variance", 0.0)
    if more == 0:
        return amount
    mean: Field = scene.body * np.float32(amount.sum() / max(float(scene.body.sum()), 1e-6))
    return np.maximum(mean + np.float32(1 + more) * (amount - mean), np.float32(0))


def _melanin(rng: Rng, scene: Scene, level: float) -> Field:
    mottle = np.float32(0.08 + 0.20 * level) * _laid(rng, scene, 2.2, 2)
    mottle += np.float32(0.13) * scene.lesion_noise(rng, 12.0, 2)
    inner = np.float32(0.55) + np.float32(0.45) * ramp(scene.depth, 0.0, 0.9)
    dark = np.float32(1.8 * level**1.5) * ramp(_laid(rng, scene, 1.4, 2), 0.3, 1.5)
    pale = np.float32(0.7 * level) * ramp(_laid(rng, scene, 1.2, side=-1.0), 0.6, 1.8)
    density: Field = np.float32(thickness(scene.spec)) * scene.body * inner * np.exp(mottle)
    density *= (1 + dark) * (1 - pale)
    return density
