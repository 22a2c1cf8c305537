"""Artifacts: what lies on the skin (ink, patches, hair) or on the glass (bubbles, ruler, corners).

Each function draws from the image's own generator: two images of one lesion have other artifacts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.synthetic.brush import Brush, curve, turned
from xattn.synthetic.features import feature
from xattn.synthetic.layers import Colour, Layer, cover
from xattn.synthetic.noise import Rng, fractal, ramp
from xattn.synthetic.scene import Scene, pixel_grid

_PATCH_COLOURS: tuple[Colour, ...] = (
    (0.37, 0.76, 0.74),  # turquoise
    (0.25, 0.53, 0.98),  # blue
    (0.95, 0.62, 0.15),  # orange
    (0.98, 0.40, 0.32),  # red
    (0.12, 0.60, 0.38),  # green
    (0.96, 0.80, 0.25),  # yellow
)


@feature("patches", kind="artifact", prevalence=0.30, effect=-4.0)
def patches(rng: Rng, scene: Scene) -> list[Layer]:
    """Round colour-calibration stickers, cut by the image's edge; one or two."""
    count = 2 if rng.random() < 0.25 else 1
    return [_patch(rng, scene) for _ in range(count)]


@feature("ink", kind="artifact", prevalence=0.20)
def ink(rng: Rng, scene: Scene) -> list[Layer]:
    """Gentian violet: scribbles of a surgical marker beside the lesion, broken by the skin."""
    brush = Brush(scene.whole)
    for _ in range(int(rng.integers(1, 3))):
        _scribble(rng, brush, _roomy_place(rng, scene), scene.unit)
    grip = ramp(fractal(rng, scene.size, 45, 2), -1.0, 0.4)
    alpha = brush.coverage(0.5 * scene.unit) * (0.25 + 0.75 * grip) * np.float32(0.85)
    alpha *= scene.off_lesion()  # marks are made around a lesion, not on it
    violet = (rng.uniform(0.28, 0.40), 0.16, rng.uniform(0.48, 0.60))
    return [cover(alpha, scene.whole, violet)]


@feature("hair", kind="artifact", prevalence=0.40)
def hair(rng: Rng, scene: Scene) -> list[Layer]:
    """Dark, curved, tapering strands, few or many, roughly combed in one direction."""
    brush = Brush(scene.whole)
    height, width = scene.size
    count = int(np.clip(np.exp(rng.normal(np.log(9), 0.7)), 3, 45))
    comb, spread = rng.uniform(0, np.pi), rng.uniform(0.15, 0.9)
    thick = rng.uniform(0.55, 1.4)
    direction = comb + rng.normal(0, spread, count)
    along = np.stack([np.cos(direction), np.sin(direction)], axis=1)
    along *= scene.unit * rng.uniform(30, 190, (count, 1))
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    middle = rng.uniform((0, 0), (width, height), (count, 2))
    bend = middle + across * rng.normal(0, 0.28, (count, 1))
    end = middle + along / 2 + across * rng.normal(0, 0.10, (count, 1))
    paths = curve(np.stack([middle - along / 2, bend, end], axis=1), 24)
    taper = np.interp(np.linspace(0, 1, 24), [0, 0.15, 0.6, 1], [0.7, 1, 0.9, 0.25])
    brush.strokes(paths, scene.unit * thick * rng.uniform(0.7, 1.3, (count, 1)) * taper)
    dark = rng.uniform(0.08, 0.32)
    strength = np.float32(rng.uniform(0.65, 0.9))
    brown = (dark * 1.3, dark * 0.95, dark * 0.65)
    return [cover(brush.coverage(0.3 * scene.unit) * strength, scene.whole, brown)]


@feature("gel_bubble", kind="artifact", prevalence=0.35)
def gel_bubble(rng: Rng, scene: Scene) -> list[Layer]:
    """Air in the immersion gel: thin dark border, bright ring inside it, a glint."""
    dark, bright = Brush(scene.whole), Brush(scene.whole)
    height, width = scene.size
    for _ in range(int(rng.integers(2, 9))):
        radius = scene.unit * float(np.clip(np.exp(rng.normal(np.log(3.6), 0.5)), 1.8, 10))
        x, y = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
        stroke = scene.unit * 0.9
        bright.dot(x, y, radius, 0.14)
        bright.ring(x, y, radius - stroke, stroke, 0.60)
        glint = rng.uniform(0, 2 * np.pi)
        offset = 0.45 * radius
        bright.dot(x + offset * np.cos(glint), y + offset * np.sin(glint), 0.2 * radius, 0.9)
        dark.ring(x, y, radius, stroke, 0.55)
    return [
        cover(dark.coverage(0.3 * scene.unit), scene.whole, (0.20, 0.15, 0.13)),
        cover(bright.coverage(0.35 * scene.unit), scene.whole, (0.97, 0.95, 0.93)),
    ]


@feature("ruler", kind="artifact", prevalence=0.30)
def ruler(rng: Rng, scene: Scene) -> list[Layer]:
    """A millimetre scale: a baseline with ticks and "MM", or long ticks at one side."""
    on_line = rng.random() < 0.7
    brush = _scale_bar(rng, scene) if on_line else _edge_ticks(rng, scene)
    dark = rng.uniform(0.08, 0.2)
    alpha = brush.coverage() * np.float32(rng.uniform(0.75, 0.9))
    return [cover(alpha, scene.whole, (dark, dark * 0.9, dark))]


@feature("dark_corner", kind="artifact", prevalence=0.30)
def dark_corner(rng: Rng, scene: Scene) -> list[Layer]:
    """The round field of the dermatoscope: black beyond a circle."""
    height, width = scene.size
    x, y = pixel_grid(scene.whole)
    x0 = np.float32(width * (0.5 + rng.uniform(-0.03, 0.03)))
    y0 = np.float32(height * (0.5 + rng.uniform(-0.03, 0.03)))
    diagonal = 0.5 * float(np.hypot(height, width))
    radius = diagonal * rng.uniform(0.76, 0.93)
    soft = scene.unit * float(np.exp(rng.uniform(np.log(1.5), np.log(16))))
    r = np.hypot(x - x0, y - y0)
    return [cover(ramp(r, radius - soft, radius + soft), scene.whole, (0.035, 0.03, 0.035))]


def _roomy_place(rng: Rng, scene: Scene) -> NDArray[np.float64]:
    """Choose a point (x, y) away from the corners, with as little lesion around as can be."""
    reach = round(40 * scene.unit) | 1
    free = cv2.blur(scene.off_lesion(), (reach, reach))
    x, y = pixel_grid(scene.whole)
    height, width = scene.size
    lit = np.hypot(x - width / 2, y - height / 2) < 0.36 * np.hypot(height, width)
    candidates = np.flatnonzero(lit & (free >= 0.98 * free[lit].max()))
    row, col = divmod(int(rng.choice(candidates)), width)
    return np.array([col, row], np.float64)


def _free_side(rng: Rng, scene: Scene) -> tuple[float, float]:
    """Choose a direction from the lesion with room, and say how many pixels there are."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False) + rng.uniform(0, 0.26)
    room = _to_edge(scene, angles) - 1.15 * scene.radius
    best = np.argsort(room)[-8:]
    chosen = int(rng.choice(best))
    return float(angles[chosen]), float(max(room[chosen], 0.12 * min(scene.size)))


def _to_edge(scene: Scene, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (pixels) from the lesion's middle to the image's edge."""
    (x, y), (height, width) = tuple(scene.centre), scene.size
    dx, dy = np.cos(angles), np.sin(angles)
    with np.errstate(divide="ignore"):
        horizontal = np.where(dx > 0, (width - x) / dx, -x / dx)
        vertical = np.where(dy > 0, (height - y) / dy, -y / dy)
    distance: NDArray[np.float64] = np.minimum(np.abs(horizontal), np.abs(vertical))
    return distance


def _beyond_lesion(scene: Scene, angle: float, inward: float) -> NDArray[np.float64]:
    """Return the point (x, y) this many pixels inward from the image's edge, at this angle."""
    distance = float(_to_edge(scene, np.array([angle]))[0]) - inward
    return scene.centre + distance * np.array([np.cos(angle), np.sin(angle)])


def _scribble(rng: Rng, brush: Brush, anchor: NDArray[np.float64], unit: float) -> None:
    """Hatch a blob, or draw a few crossing strokes."""
    direction = rng.uniform(0, np.pi)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-along[1], along[0]])
    if rng.random() < 0.55:
        turns = int(rng.integers(14, 34))
        side = np.where(np.arange(turns) % 2 == 0, 1.0, -1.0) * rng.uniform(6, 14, turns)
        progress = np.linspace(-1, 1, turns) * rng.uniform(10, 26)
        path = anchor + unit * (side[:, None] * across + progress[:, None] * along)
        brush.line(path + rng.normal(0, 1.5 * unit, path.shape), unit * rng.uniform(1.4, 2.6))
        return
    for _ in range(int(rng.integers(2, 5))):
        tilt = rng.uniform(-1, 1)
        stroke = along * np.cos(tilt) + across * np.sin(tilt)
        middle = anchor + rng.normal(0, 7 * unit, 2)
        ends = rng.uniform(12, 30) * unit * stroke
        bend = middle + rng.normal(0, 4 * unit, 2)
        brush.line(
            curve(np.stack([middle - ends, bend, middle + ends]), 12), unit * rng.uniform(2.0, 3.4)
        )


def _patch(rng: Rng, scene: Scene) -> Layer:
    """One sticker, so placed that it reaches into the image but spares the lesion."""
    angle, room = _free_side(rng, scene)
    reach = float(np.clip(rng.uniform(0.6, 1.0) * room, 18 * scene.unit, 70 * scene.unit))
    radius = scene.unit * rng.uniform(48, 80)
    x0, y0 = _beyond_lesion(scene, angle, reach - radius)
    x, y = pixel_grid(scene.whole)
    r = np.hypot(x - np.float32(x0), y - np.float32(y0))
    alpha = np.clip(np.float32(radius + 0.5) - r, 0, 1)
    first, second = rng.choice(len(_PATCH_COLOURS), 2, replace=False)
    inner = radius * rng.uniform(0.45, 0.8) if rng.random() < 0.2 else 0.0
    mix = np.clip(np.float32(inner + 0.5) - r, 0, 1)
    weave = 1 + np.float32(0.03) * fractal(rng, scene.size, 90)
    weave += np.float32(0.015) * fractal(rng, scene.size, 10)
    shade = weave * (1 - np.float32(0.12) * ramp(r, radius - 4 * scene.unit, radius))
    outer, middle = (np.array(_PATCH_COLOURS[i], np.float32) for i in (first, second))
    colour = outer[:, None, None] + mix * (middle - outer)[:, None, None]
    return cover(alpha, scene.whole, np.clip(colour * shade, 0, 1))


def _scale_bar(rng: Rng, scene: Scene) -> Brush:
    """Eleven ticks on a line, turned a little, below or above the lesion."""
    brush, unit = Brush(scene.whole), scene.unit
    height, width = scene.size
    side = 1.0 if scene.centre[1] < height / 2 else -1.0
    shift, rise = rng.uniform(-0.10, 0.10), side * rng.uniform(0.28, 0.36)
    to = np.array([width * (0.5 + shift), height * (0.5 + rise)])
    tilt = float(np.clip(rng.normal(0, 12), -30, 30))
    places = np.linspace(-50, 50, 11)
    talls = np.where(np.arange(11) % 5 == 0, 7.0, 4.5)
    ticks = np.stack([np.stack([places, 0 * places], 1), np.stack([places, -talls], 1)], 1)
    origin = np.zeros(2)
    brush.line(turned(unit * ticks[[0, -1], 0], tilt, origin, to), 0.9 * unit)
    for tick in turned(unit * ticks.reshape(-1, 2), tilt, origin, to).reshape(-1, 2, 2):
        brush.line(tick, 0.8 * unit)
    below = 9 + 14 * max(0.0, np.tan(np.radians(tilt)))  # the words stay level, the line does not
    x, y = turned(unit * np.array([[-51.0, below]]), tilt, origin, to)[0]
    brush.text("MM", x, y, 6 * unit)
    return brush


def _edge_ticks(rng: Rng, scene: Scene) -> Brush:
    """Long ticks of the contact plate at the left or right side, every fifth longer."""
    brush, unit = Brush(scene.whole), scene.unit
    height, width = scene.size
    step, start = unit * rng.uniform(11, 16), unit * rng.uniform(10, 20)
    tilt, digit = float(rng.normal(0, 4)), str(int(rng.integers(1, 10)))
    left = scene.centre[0] > width / 2
    sign, base = (1.0, start) if left else (-1.0, width - start)
    middle = np.array([width / 2, height / 2])
    for k, y in enumerate(np.arange(0.12 * height, 0.88 * height, step)):
        reach = sign * unit * (13 if k % 5 == 2 else 8)
        tick = np.array([[base, y], [base + reach, y]])
        brush.line(turned(tick, tilt, middle, middle), 1.1 * unit)
    number = np.array([[base + sign * 18 * unit - 2.5 * unit, 0.12 * height + 2 * step + 3 * unit]])
    x, y = turned(number, tilt, middle, middle)[0]
    brush.text(digit, x, y, 6 * unit)
    return brush
