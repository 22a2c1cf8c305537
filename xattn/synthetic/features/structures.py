"""The five dermoscopic structures of ISIC 2018, drawn in the lesion's own coordinates.

Each function draws from the lesion's own generator and returns layers, so it knows nothing of what
else is in the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xattn.synthetic.brush import Brush, curve
from xattn.synthetic.features import feature
from xattn.synthetic.layers import Layer, absorb, cover
from xattn.synthetic.lesion import thickness
from xattn.synthetic.noise import Field, Rng, ramp
from xattn.synthetic.scene import Scene


@feature("pigment_network", kind="structure", prevalence=0.55, effect=-0.5)
def pigment_network(rng: Rng, scene: Scene) -> list[Layer]:
    """Honeycomb of brown lines: melanin along the rete ridges."""
    mesh = ramp(_honeycomb(rng, scene, period=rng.uniform(3.8, 5.8)), 0.10, -0.32)
    where = _region(rng, scene, fraction=0.7) * ramp(scene.depth, -0.03, 0.25)
    uneven = np.clip(1 + np.float32(0.5) * scene.lesion_noise(rng, 3.5, 2), 0, 2)
    return [absorb(np.float32(rng.uniform(0.22, 0.48)) * mesh * where * uneven, scene.window)]


@feature("negative_network", kind="structure", prevalence=0.25, effect=1.0)
def negative_network(rng: Rng, scene: Scene) -> list[Layer]:
    """Pale, winding lines around darker islands: the network's inverse."""
    field = _honeycomb(rng, scene, period=rng.uniform(6.0, 8.5), warp=0.75)
    where = _region(rng, scene, fraction=0.6) * ramp(scene.depth, 0.03, 0.35)
    uneven = np.clip(1 + np.float32(0.4) * scene.lesion_noise(rng, 3.0, 2), 0, 1.4)
    islands = np.float32(rng.uniform(0.12, 0.28)) * ramp(field, 0.0, 0.6) * where
    lines = ramp(field, 0.05, -0.35) * where * uneven
    pale = np.float32(rng.uniform(0.25, 0.40)) * lines
    return [absorb(islands, scene.window), cover(pale, scene.window, (0.92, 0.78, 0.68))]


@feature("globules", kind="structure", prevalence=0.40)
def globules(rng: Rng, scene: Scene) -> list[Layer]:
    """Round brown dots of different sizes, in clusters."""
    count = int(rng.integers(18, 75) * np.clip(scene.radius / (48 * scene.unit), 0.6, 1.6))
    brush = Brush(scene.window)
    where = _region(rng, scene, fraction=0.5) * (scene.depth > 0.06)
    typical = rng.uniform(1.0, 1.9)
    for x, y in _places(rng, scene, where, count):
        radius = scene.unit * typical * float(np.clip(np.exp(rng.normal(0, 0.3)), 0.6, 1.8))
        axes = (radius, radius * rng.uniform(0.75, 1.0))
        brush.oval(x, y, axes, rng.uniform(0, 180), rng.uniform(0.5, 1.0))
    density = np.float32(rng.uniform(0.6, 1.1)) * brush.coverage(0.55 * scene.unit)
    return [absorb(density, scene.window)]


@feature("streaks", kind="structure", prevalence=0.30, effect=1.5)
def streaks(rng: Rng, scene: Scene) -> list[Layer]:
    """Radial fingers across the border, some with a bulb at the tip (pseudopods)."""
    brush = Brush(scene.window)
    arc = rng.uniform(1.6, 2 * np.pi)
    count = int(rng.uniform(18, 32) * arc / np.pi) + 8
    angles = rng.uniform(0, 2 * np.pi) + arc * (np.arange(count) + rng.uniform(0, 1, count)) / count
    length = rng.uniform(0.04, 0.16, (count, 1))
    reach = _border_radius(scene, angles)[:, None] + length * (-1.6, -0.3, 1.0)
    sway = angles[:, None] + rng.normal(0, 0.05, (count, 3)) * (0.0, 0.7, 1.5)
    corners = scene.to_pixels(np.stack([reach * np.cos(sway), reach * np.sin(sway)], axis=-1))
    width = rng.uniform(0.03, 0.07, (count, 1)) * scene.radius + 1.2 * scene.unit
    brush.strokes(curve(corners, 8), width * np.linspace(1.0, 0.25, 8))
    if rng.random() < 0.5:
        for (x, y), bulb in zip(corners[:, 2], 0.32 * width[:, 0], strict=True):
            brush.dot(x, y, bulb)
    fade = ramp(scene.depth, 0.5, 0.05) * ramp(scene.depth, -0.4, -0.05)
    density = np.float32(0.25 + 0.7 * thickness(scene.spec)) * brush.coverage(0.8 * scene.unit)
    uneven = np.clip(1 + np.float32(0.4) * scene.lesion_noise(rng, 3.0, 2), 0.3, 1.7)
    return [absorb(density * fade * uneven, scene.window)]


@feature("milia_like_cyst", kind="structure", prevalence=0.35)
def milia_like_cyst(rng: Rng, scene: Scene) -> list[Layer]:
    """Small round whitish to yellowish dots, slightly blurred."""
    brush = Brush(scene.window)
    for x, y in _places(
        rng, scene, (scene.depth > 0.12).astype(np.float32), int(rng.integers(4, 16))
    ):
        brush.dot(x, y, scene.unit * rng.uniform(0.9, 2.4), rng.uniform(0.6, 1.0))
    alpha = np.minimum(brush.coverage(0.7 * scene.unit) * np.float32(1.2), 0.9)
    return [cover(alpha, scene.window, (0.96, 0.90, rng.uniform(0.66, 0.86)))]


def _honeycomb(rng: Rng, scene: Scene, period: float, warp: float = 0.4) -> Field:
    """Sum of three plane waves: 1 at the middles of hexagons, -0.5 at their corners.

    Args:
        period: distance of neighbouring middles, in units, kept above 3.2 pixels.
        warp: shift of the lattice by noise (standard deviation), in periods.
    """
    pixels = max(3.2, period * scene.unit)
    step = np.float32(pixels / scene.radius)  # in lesion radii
    shift = np.float32(warp) * step
    cells = max(2.0, 0.3 / float(step))
    u = scene.u + shift * scene.lesion_noise(rng, cells, 2)
    v = scene.v + shift * scene.lesion_noise(rng, cells, 2)
    k = np.float32(4 * np.pi / np.sqrt(3)) / step
    total = np.zeros_like(scene.u)
    first = rng.uniform(0, np.pi)
    for angle in first + np.arange(3) * np.pi / 3:
        total += np.cos(k * (np.float32(np.cos(angle)) * u + np.float32(np.sin(angle)) * v))
    return total * np.float32(1 / 3)


def _region(rng: Rng, scene: Scene, fraction: float) -> Field:
    """Return a smooth weight that is near 1 on about this fraction of the lesion."""
    noise = scene.lesion_noise(rng, 1.3)
    inside = noise[scene.depth > 0.1]
    if inside.size == 0:
        return np.ones_like(noise)
    level = float(np.quantile(inside, 1 - fraction))
    return ramp(noise, level - 0.4, level + 0.3)


def _places(rng: Rng, scene: Scene, weight: Field, count: int) -> NDArray[np.float64]:
    """Draw pixel positions (count, 2) of x, y where `weight` exceeds one half."""
    rows, cols = np.nonzero(weight > 0.5)
    if rows.size == 0:
        rows, cols = (np.array([i]) for i in np.unravel_index(np.argmax(weight), weight.shape))
    chosen = rng.integers(0, rows.size, count)
    jitter = rng.uniform(-0.5, 0.5, (count, 2))
    corner = (scene.window.left, scene.window.top)
    return np.stack([cols[chosen], rows[chosen]], axis=1) + jitter + corner


def _border_radius(scene: Scene, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of the border from the middle at each angle, in lesion radii."""
    radii = np.linspace(0.3, 1.9, 65)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = scene.to_pixels((radii[None, :, None] * rays[:, None, :]).reshape(-1, 2))
    height, width = scene.window.size
    cols = np.clip(np.round(points[:, 0]) - scene.window.left, 0, width - 1).astype(int)
    rows = np.clip(np.round(points[:, 1]) - scene.window.top, 0, height - 1).astype(int)
    inside = (scene.depth[rows, cols] > 0.04).reshape(len(angles), len(radii))
    last = len(radii) - 1 - np.argmax(inside[:, ::-1], axis=1)
    border: NDArray[np.float64] = np.where(inside.any(axis=1), radii[last], 1.0)
    return border
