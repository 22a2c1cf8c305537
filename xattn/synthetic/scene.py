"""The geometry of one image: where the lesion lies, how far each pixel is from its border.

Two coordinate systems. Pixels (x, y), centres at integers. Lesion coordinates (u, v): origin in
the lesion's middle, unit its mean radius. All that belongs to the lesion (outline, pigment,
structures) is drawn in lesion coordinates from the lesion's own generator, and a view turns,
mirrors and scales them; so two images of one lesion show the same lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.stats.seeds import generator_for
from xattn.synthetic.layers import Frame
from xattn.synthetic.noise import Field, Rng, attached, ramp
from xattn.synthetic.spec import ImageSpec

_REACH = 2.0
"""Noise attached to the lesion covers [-_REACH, _REACH] in lesion coordinates."""

_MARGIN = 1.35
"""The lesion's window is that of its outline, enlarged by this."""


@dataclass(frozen=True)
class Scene:
    """Everything a drawing function may ask for.

    Attributes:
        spec: what was decided about the image before any pixel.
        whole: the frame of the image.
        window: a frame that holds the lesion and its structures; the fields below lie in it.
        unit: pixels per 1/192 of the shorter side: widths of strokes are given in it.
        centre: (x, y) of the lesion in pixels.
        radius: mean radius of the lesion in pixels.
        axes: lesion axes in pixels, (2, 2): pixel = centre + (u, v) @ axes.
        u, v: lesion coordinates of every pixel of the window.
        mirror: angle (radians, in lesion coordinates) of the axes at which the lesion is mirrored
            when its asymmetry is changed: those of the ellipse that fits its outline.
        depth: about the distance inside the border in lesion radii, negative outside.
        body: fraction of full pigment at each pixel, 0 outside, 1 well inside.
    """

    spec: ImageSpec
    whole: Frame
    window: Frame
    unit: float
    centre: NDArray[np.float64]
    radius: float
    axes: NDArray[np.float64]
    u: Field
    v: Field
    mirror: float
    depth: Field
    body: Field

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.whole.size

    def lesion_noise(self, rng: Rng, cells: float, octaves: int = 1) -> Field:
        """Return a field over the window, of about `cells` blobs per lesion radius."""
        return _lesion_noise(rng, self.u, self.v, cells, octaves)

    def mirrored_noise(self, rng: Rng, cells: float, octaves: int = 1) -> Field:
        """Return the field that `lesion_noise` gives, made its own mirror image at both axes.

        It is the mean of four reflections, times 2, so that the deviation is kept.
        """
        c, s = np.float32(np.cos(self.mirror)), np.float32(np.sin(self.mirror))
        along, across = c * self.u + s * self.v, c * self.v - s * self.u
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        u = np.concatenate([a * c * along - b * s * across for a, b in signs])
        v = np.concatenate([a * s * along + b * c * across for a, b in signs])
        found = _lesion_noise(rng, u, v, cells, octaves)
        total: Field = np.float32(0.5) * found.reshape(4, *self.u.shape).sum(axis=0)
        return total

    def to_pixels(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the pixel coordinates (..., 2) of points (..., 2) in lesion coordinates."""
        return self.centre + np.asarray(points, np.float64) @ self.axes

    def off_lesion(self) -> Field:
        """Return a weight over the whole image: 0 on the lesion, 1 a little outside it."""
        weight = np.ones(self.size, np.float32)
        top, left, (height, width) = self.window.top, self.window.left, self.window.size
        weight[top : top + height, left : left + width] = ramp(self.depth, -0.02, -0.15)
        return weight


def build_scene(spec: ImageSpec, size: tuple[int, int]) -> Scene:
    """Place the lesion and find its border; `size` is (height, width)."""
    own = generator_for(spec.seed, "lesion", spec.lesion, "outline")
    extent = float(np.clip(np.exp(own.normal(np.log(0.27), 0.33)), 0.13, 0.42))
    centre, axes = _view(spec, size, extent)
    axes = axes * (1 + spec.strength.get("diameter", 0.0))
    more = spec.strength.get("shape_asymmetry", 0.0)
    outline, mirror = _outline(own, spec.level("border_irregularity"), more)
    window = _window(outline, centre, axes, size)
    u, v = _lesion_coordinates(window, centre, axes)
    depth = _depth(own, outline, spec.level("border_irregularity"), u, v)
    body = _body(depth, own.uniform(0.15, 0.55), spec.strength.get("border_sharpness", 0.0))
    return Scene(
        spec=spec,
        whole=Frame(0, 0, size, size[1]),
        window=window,
        unit=min(size) / 192,
        centre=centre,
        radius=float(np.hypot(*axes[0])),
        axes=axes,
        u=u,
        v=v,
        mirror=mirror,
        depth=depth,
        body=body,
    )


def pixel_grid(frame: Frame) -> tuple[Field, Field]:
    """Return x and y of the frame's pixels, as arrays that broadcast to its size."""
    y = np.arange(frame.top, frame.top + frame.size[0], dtype=np.float32)[:, None]
    x = np.arange(frame.left, frame.left + frame.size[1], dtype=np.float32)[None, :]
    return x, y


def _view(
    spec: ImageSpec, size: tuple[int, int], extent: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw where and how this image shows the lesion: its centre and axes in pixels."""
    rng = generator_for(spec.seed, "image", spec.index, "view")
    radius = extent * min(size) * float(np.clip(np.exp(rng.normal(0, 0.08)), 0.85, 1.15))
    middle = np.array([size[1], size[0]]) * 0.5
    slack = np.maximum(middle - 0.75 * radius, 0)
    centre = middle + rng.uniform(-0.3, 0.3, 2) * slack
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mirror = np.diag([1.0, -1.0 if rng.random() < 0.5 else 1.0])
    return centre, radius * mirror @ turn


def _body(depth: Field, width: float, sharper: float) -> Field:
    """Let pigment set in over a width (in lesion radii); a sharper border keeps its middle."""
    if sharper == 0:
        return ramp(depth, 0.0, width)
    half = 0.5 * width / (1 + sharper)
    return ramp(depth, 0.5 * width - half, 0.5 * width + half)


def _outline(rng: Rng, level: float, more: float) -> tuple[Field, float]:
    """Draw the border's radius at 0, 1, ..., 360 degrees: a few harmonics of the angle.

    Also return the angle of the axes of the second harmonic, about which that is its own mirror
    image; `more` scales what the others have that is not.
    """
    orders = np.arange(2, 7)
    amplitude = (0.05 + 0.09 * level) * rng.standard_normal(len(orders)) / (orders - 1)
    phase = rng.uniform(0, 2 * np.pi, len(orders))
    angles = np.linspace(0, 2 * np.pi, 361)
    waves = np.cos(angles[:, None] * orders + phase) @ amplitude
    mirror = -0.5 * float(phase[0])
    if more != 0:
        turned = amplitude * np.cos(phase + orders * mirror) * (orders % 2 == 0)
        symmetric = np.cos((angles - mirror)[:, None] * orders) @ turned
        waves += more * (waves - symmetric)
    return np.exp(np.clip(waves, -0.5, 0.4)).astype(np.float32), mirror


def _window(
    outline: Field, centre: NDArray[np.float64], axes: NDArray[np.float64], size: tuple[int, int]
) -> Frame:
    angles = np.linspace(0, 2 * np.pi, 361)
    border = outline[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = centre + _MARGIN * border @ axes
    left, top = np.clip(np.floor(points.min(axis=0)), 0, None).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 1
    box = (min(int(bottom), size[0]) - int(top), min(int(right), size[1]) - int(left))
    return Frame(int(top), int(left), box, size[1])


def _lesion_coordinates(
    window: Frame, centre: NDArray[np.float64], axes: NDArray[np.float64]
) -> tuple[Field, Field]:
    x, y = pixel_grid(window)
    back = np.linalg.inv(axes).astype(np.float32)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    return dx * back[0, 0] + dy * back[1, 0], dx * back[0, 1] + dy * back[1, 1]


def _depth(rng: Rng, outline: Field, level: float, u: Field, v: Field) -> Field:
    """Return depth inside the outline, roughened by noise that grows with irregularity."""
    r, degrees = cv2.cartToPolar(u, v, angleInDegrees=True)
    relative = np.asarray(r, np.float32) / outline[np.minimum(degrees, 360).astype(np.intp)]
    coarse = _lesion_noise(rng, u, v, 1.7, 2) * np.float32(0.02 + 0.12 * level**1.5)
    fine = _lesion_noise(rng, u, v, 7.0, 2) * np.float32(0.025 + 0.035 * level)
    # Roughness fades outside, or islands of pigment would float on the skin.
    rough = (coarse + fine) * ramp(relative, 1.3, 0.95)
    return np.float32(1) - relative + rough


def _lesion_noise(rng: Rng, u: Field, v: Field, cells: float, octaves: int) -> Field:
    scale = np.float32(1 / _REACH)
    nodes = 2 * _REACH * cells
    return attached(rng, u * scale, v * scale, (nodes, nodes), octaves)
