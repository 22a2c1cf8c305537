"""Skin without a lesion, and the camera: light, colour cast and sensor noise over everything."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.stats.seeds import generator_for
from xattn.synthetic.layers import BLOOD, MELANIN, Camera
from xattn.synthetic.noise import Field, Rng, attached, fractal, ramp
from xattn.synthetic.scene import Scene, pixel_grid

_PALE = np.array([0.96, 0.90, 0.87], np.float32)
"""Reflectance of skin without melanin and blood."""


def draw_skin(scene: Scene) -> Field:
    """Return bare skin (3, pixels) in [0, 1]: tone, mottling, relief lines, vessels."""
    spec, size = scene.spec, scene.size
    tone = generator_for(spec.seed, "lesion", spec.lesion, "skin")
    rng = generator_for(spec.seed, "image", spec.index, "skin")
    # A high power of the level: most skins are light, as in the public archives, some are dark.
    melanin = 0.02 + 0.75 * spec.level("skin_tone") ** 5 + tone.uniform(0, 0.07)
    blood = 0.01 + 0.28 * tone.beta(1.0, 4.0)
    freckles = tone.uniform(0.05, 0.16) if tone.random() < 0.25 else 0.0
    threads, lines = tone.uniform(0, 0.10), tone.uniform(0.008, 0.03)
    brown = melanin + np.float32(0.01 + 0.10 * melanin) * fractal(rng, size, 4, 3)
    brown += np.float32(0.015) * fractal(rng, size, 50, 2)
    if freckles > 0:
        brown += np.float32(freckles) * ramp(fractal(rng, size, 9, 2), 0.8, 2.4)
    red = blood + np.float32(0.01 + 0.2 * blood) * fractal(rng, size, 5, 3)
    red += np.float32(threads) * _vessels(rng, size)
    relief = np.float32(lines) * _relief(rng, scene)
    density = brown.ravel() * -np.asarray(MELANIN, np.float32)[:, None]
    density -= red.ravel() * np.asarray(BLOOD, np.float32)[:, None]
    density += relief.ravel()
    skin: Field = np.exp(density, out=density)
    skin *= _PALE[:, None]
    return skin


def draw_camera(scene: Scene) -> Camera:
    """Return uneven light with a colour cast, and sensor noise."""
    rng = generator_for(scene.spec.seed, "image", scene.spec.index, "camera")
    x, y = pixel_grid(scene.whole)
    height, width = scene.size
    x0, y0 = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6)
    r2 = ((x - np.float32(x0)) ** 2 + (y - np.float32(y0)) ** 2) / np.float32(max(scene.size) ** 2)
    exposure = float(np.clip(rng.normal(0.92, 0.11), 0.65, 1.12))
    falloff = np.float32(rng.uniform(0.1, 0.8)) * r2
    light = np.float32(exposure) * (np.float32(1) - falloff)
    warm, green = rng.normal(0, 0.045), rng.normal(0, 0.015)
    cast = np.array([1 + warm, 1 + green, 1 - warm], np.float32)[:, None]
    light *= np.float32(1 + scene.spec.strength.get("light", 0.0))
    more = np.float32(scene.spec.strength.get("colour_cast", 0.0))
    cast *= np.array([1 + more, 1, 1 - more], np.float32)[:, None]
    grain = rng.standard_normal(scene.size, dtype=np.float32)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.6), np.float32)
    grain *= np.float32(rng.uniform(0.006, 0.02))
    return Camera(np.asarray(light.ravel() * cast, np.float32), grain.ravel())


def _relief(rng: Rng, scene: Scene) -> Field:
    """Skin lines: two crossing families of long thin ridges."""
    x, y = pixel_grid(scene.whole)
    unit = np.float32(2 / max(scene.size))
    x, y = x[:, ::2] * unit - 1, y[::2] * unit - 1  # at half resolution: lines are soft
    first = rng.uniform(0, np.pi)
    total = np.zeros((y.shape[0], x.shape[1]), np.float32)
    for angle, strength in ((first, 1.0), (first + rng.uniform(0.9, 1.6), 0.7)):
        c, s = np.float32(np.cos(angle) * 0.7), np.float32(np.sin(angle) * 0.7)
        field = attached(rng, c * x + s * y, c * y - s * x, (16, 90))
        ridge = 1 - np.minimum(np.abs(field), 1)
        total += np.float32(strength) * (ridge * ridge - np.float32(0.35))
    lines = cv2.resize(total, scene.size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(lines, np.float32)


def _vessels(rng: Rng, size: tuple[int, int]) -> Field:
    """Faint branching threads where a smooth field crosses zero."""
    ridge = ramp(np.abs(fractal(rng, size, 6, 3)), 0.10, 0.0)
    return ridge * ramp(fractal(rng, size, 4), -0.2, 1.0)
