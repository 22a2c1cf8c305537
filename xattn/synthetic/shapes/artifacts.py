"""Artifacts in other shapes: square stickers, dotted ink, a letterbox, pale fibres, a bold scale.

Each is drawn from the image's own generator, as the artifact that it is a shape of.
"""

from __future__ import annotations

import numpy as np

from xattn.synthetic.brush import Brush
from xattn.synthetic.layers import Colour, Layer, cover
from xattn.synthetic.noise import Rng, fractal, ramp
from xattn.synthetic.scene import Scene, pixel_grid
from xattn.synthetic.shapes import shape

_STICKERS: tuple[Colour, ...] = (
    (0.72, 0.45, 0.90),  # lilac
    (0.97, 0.97, 0.95),  # white
    (0.55, 0.85, 0.35),  # lime
    (0.93, 0.45, 0.70),  # pink
)


@shape("square-patches", of="patches")
def square_patches(rng: Rng, scene: Scene) -> list[Layer]:
    """A square sticker of another colour in one corner, turned a little."""
    height, width = scene.size
    x, y = pixel_grid(scene.whole)
    side = scene.unit * rng.uniform(40, 58)
    inset = np.float32(side * rng.uniform(0.2, 0.5))
    x0 = np.float32(rng.choice([inset, width - inset]))
    y0 = np.float32(rng.choice([inset, height - inset]))
    tilt = rng.uniform(-0.35, 0.35)
    c, s = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    u, v = c * (x - x0) + s * (y - y0), c * (y - y0) - s * (x - x0)
    edge = np.float32(side / 2 + 0.5) - np.maximum(np.abs(u), np.abs(v))
    weave = 1 + np.float32(0.03) * fractal(rng, scene.size, 90)
    colour = np.array(_STICKERS[rng.integers(len(_STICKERS))], np.float32)[:, None, None]
    return [cover(np.clip(edge, 0, 1), scene.whole, np.clip(colour * weave, 0, 1))]


@shape("dotted-ink", of="ink")
def dotted_ink(rng: Rng, scene: Scene) -> list[Layer]:
    """Dots of a blue-black pen on a circle around the lesion."""
    brush, (height, width) = Brush(scene.whole), scene.size
    count = int(rng.integers(10, 16))
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
    reach = np.float32(np.clip(1.45 * scene.radius, 0, 0.46 * min(scene.size)))
    for angle in angles + rng.normal(0, 0.06, count):
        far = reach * rng.uniform(0.92, 1.08)
        x = np.clip(scene.centre[0] + far * np.cos(angle), 2, width - 3)
        y = np.clip(scene.centre[1] + far * np.sin(angle), 2, height - 3)
        brush.dot(float(x), float(y), scene.unit * rng.uniform(2.8, 4.2), rng.uniform(0.7, 1.0))
    alpha = brush.coverage(0.5 * scene.unit) * np.float32(rng.uniform(0.75, 0.9))
    return [cover(alpha, scene.whole, (0.10, rng.uniform(0.14, 0.24), rng.uniform(0.32, 0.46)))]


@shape("letterbox", of="dark_corner")
def letterbox(rng: Rng, scene: Scene) -> list[Layer]:
    """Black bars at two opposite sides, as a frame grabber leaves them."""
    height, width = scene.size
    x, y = pixel_grid(scene.whole)
    across, length = (x, width) if rng.random() < 0.5 else (y, height)
    bar, soft = length * rng.uniform(0.06, 0.13), scene.unit * rng.uniform(0.5, 3)
    depth = np.minimum(across, length - 1 - across) + np.zeros(scene.size, np.float32)
    return [cover(ramp(depth, bar + soft, bar - soft), scene.whole, (0.02, 0.02, 0.025))]


@shape("pale-fibres", of="hair")
def pale_fibres(rng: Rng, scene: Scene) -> list[Layer]:
    """Straight pale fibres of gauze, crossing the whole image."""
    brush, (height, width) = Brush(scene.whole), scene.size
    count, first = int(rng.integers(5, 10)), rng.uniform(0, np.pi)
    far = 0.6 * float(np.hypot(height, width))
    for angle in first + rng.normal(0, 0.5, count):
        middle = rng.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height))
        along = far * np.array([np.cos(angle), np.sin(angle)])
        brush.line(np.stack([middle - along, middle + along]), scene.unit * rng.uniform(1.8, 3.2))
    alpha = brush.coverage(0.4 * scene.unit) * np.float32(rng.uniform(0.7, 0.9))
    return [cover(alpha, scene.whole, (0.95, 0.95, rng.uniform(0.86, 0.94)))]


@shape("bold-ruler", of="ruler")
def bold_ruler(rng: Rng, scene: Scene) -> list[Layer]:
    """A scale at the lower or upper edge whose strokes are a pixel wide or more at any size."""
    brush, unit, (height, width) = Brush(scene.whole), scene.unit, scene.size
    stroke = max(1.2, 2.2 * unit)
    inward = -1.0 if rng.random() < 0.5 else 1.0
    base = (height - 1 - 5 * unit) if inward < 0 else 5 * unit
    base += inward * unit * rng.uniform(0, 14)
    step = max(3.2, unit * rng.uniform(9, 12))
    left = width * rng.uniform(0.06, 0.2)
    right = width * rng.uniform(0.8, 0.94)
    brush.line(np.array([[left, base], [right, base]]), stroke)
    for k, x in enumerate(np.arange(left, right, step)):
        reach = inward * unit * (22 if k % 5 == 0 else 14)
        brush.line(np.array([[x, base], [x, base + reach]]), stroke)
    dark = rng.uniform(0.05, 0.15)
    alpha = brush.coverage() * np.float32(rng.uniform(0.85, 0.95))
    return [cover(alpha, scene.whole, (dark, dark * 0.9, dark))]
