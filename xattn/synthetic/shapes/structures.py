"""Structures in coarser shapes, which small networks can see in small images.

At 64 x 80 pixels a globule as it is drawn is less than a pixel across. Each is drawn from the
lesion's own generator, as the structure that it is a shape of.
"""

from __future__ import annotations

import numpy as np

from xattn.synthetic.brush import Brush
from xattn.synthetic.layers import Layer, absorb, cover
from xattn.synthetic.noise import Rng, ramp
from xattn.synthetic.scene import Scene
from xattn.synthetic.shapes import shape


@shape("coarse-globules", of="globules")
def coarse_globules(rng: Rng, scene: Scene) -> list[Layer]:
    """A dozen dark dots, each a tenth of the lesion across."""
    brush = Brush(scene.window)
    for x, y in _within(rng, scene, int(rng.integers(9, 16))):
        brush.dot(x, y, scene.radius * rng.uniform(0.07, 0.12), rng.uniform(0.8, 1.0))
    return [absorb(np.float32(rng.uniform(1.2, 1.8)) * brush.coverage(0.3), scene.window)]


@shape("pale-blotches", of="milia_like_cyst")
def pale_blotches(rng: Rng, scene: Scene) -> list[Layer]:
    """A few whitish blotches, each a fifth of the lesion across."""
    brush = Brush(scene.window)
    for x, y in _within(rng, scene, int(rng.integers(3, 6))):
        brush.dot(x, y, scene.radius * rng.uniform(0.14, 0.22), rng.uniform(0.7, 0.9))
    return [cover(brush.coverage(0.6), scene.window, (0.96, 0.90, rng.uniform(0.72, 0.86)))]


@shape("broad-streaks", of="streaks")
def broad_streaks(rng: Rng, scene: Scene) -> list[Layer]:
    """Ten broad dark rays from within the lesion to well beyond its border."""
    brush, count = Brush(scene.whole), int(rng.integers(8, 12))
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
    for angle in angles + rng.normal(0, 0.08, count):
        ends = np.array([rng.uniform(0.6, 0.8), rng.uniform(1.35, 1.7)])
        points = scene.to_pixels(np.outer(ends, [np.cos(angle), np.sin(angle)]))
        brush.line(points, scene.radius * rng.uniform(0.07, 0.11))
    return [absorb(np.float32(rng.uniform(0.8, 1.3)) * brush.coverage(0.3), scene.whole)]


def _within(rng: Rng, scene: Scene, count: int) -> np.ndarray:
    """Draw positions (count, 2) of x, y well within the lesion, in pixels."""
    inside = ramp(scene.depth, 0.15, 0.25) > 0
    rows, cols = np.nonzero(inside if inside.any() else scene.depth >= scene.depth.max())
    chosen = rng.integers(0, len(rows), count)
    corner = (scene.window.left, scene.window.top)
    places: np.ndarray = np.stack([cols[chosen], rows[chosen]], axis=1) + np.array(corner)
    return places
