"""Antialiased strokes, dots and rings: drawn four times as large, then averaged down."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.synthetic.layers import Frame
from xattn.synthetic.noise import Field

_SCALE = 4  # canvas pixels per image pixel, along each side
_SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates

Points = NDArray[np.floating]


class Brush:
    """A transparent canvas over a frame of an image; all arguments are in pixels of the image.

    Strokes and dots that overlap do not add up: the last one drawn wins.
    """

    def __init__(self, frame: Frame) -> None:
        self._size = frame.size
        self._origin = np.array([frame.left, frame.top], np.float64)
        self._canvas = np.zeros((frame.size[0] * _SCALE, frame.size[1] * _SCALE), np.uint8)

    def line(self, points: Points, width: float) -> None:
        """Draw a polyline through `points` (k, 2) of x, y; at least 1/4 pixel wide."""
        thick = max(1, round(width * _SCALE))
        cv2.polylines(self._canvas, [self._fixed(points)], False, 255, thick, cv2.LINE_8, _SHIFT)

    def strokes(self, paths: Points, widths: Points) -> None:
        """Draw strokes along `paths` (n, k, 2) whose widths follow `widths` (n, k)."""
        tangent = np.gradient(paths, axis=1)
        normal = np.stack([-tangent[..., 1], tangent[..., 0]], axis=-1)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
        half = normal * widths[..., None] / 2
        outlines = self._fixed(np.concatenate([paths + half, (paths - half)[:, ::-1]], axis=1))
        for outline in outlines:  # one by one: filled together, crossings would cancel out
            cv2.fillPoly(self._canvas, [outline], 255, cv2.LINE_8, _SHIFT)

    def dot(self, x: float, y: float, radius: float, strength: float = 1.0) -> None:
        """Draw a filled disc, `strength` in [0, 1]."""
        self._circle(x, y, radius, strength, cv2.FILLED)

    def ring(self, x: float, y: float, radius: float, width: float, strength: float = 1.0) -> None:
        """Draw a circle's outline, `width` across, centred on `radius`."""
        self._circle(x, y, radius, strength, max(1, round(width * _SCALE)))

    def oval(
        self, x: float, y: float, axes: tuple[float, float], degrees: float, strength: float
    ) -> None:
        """Draw a filled ellipse of the given half axes."""
        centre = self._fixed(np.array([[x, y]]))[0]
        half = (round(axes[0] * _SCALE * 2**_SHIFT), round(axes[1] * _SCALE * 2**_SHIFT))
        value = 255 * strength
        cv2.ellipse(self._canvas, centre, half, degrees, 0, 360, value, -1, cv2.LINE_8, _SHIFT)

    def text(self, words: str, x: float, y: float, height: float) -> None:
        """Write with the lower left corner at x, y and capitals of the given height."""
        scale = height * _SCALE / 21  # Hershey capitals are 21 units tall
        column, row = (np.array([x, y]) - self._origin) * _SCALE
        font = cv2.FONT_HERSHEY_SIMPLEX
        thick = max(1, round(scale * 3))
        cv2.putText(self._canvas, words, (round(column), round(row)), font, scale, 255, thick)

    def coverage(self, blur: float = 0.0) -> Field:
        """Return the drawing (height, width) in [0, 1], blurred by `blur` pixels (deviation)."""
        size = (self._size[1], self._size[0])
        alpha = cv2.resize(self._canvas, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        alpha *= np.float32(1 / 255)
        if blur > 0:
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.float32)
        return alpha

    def _circle(self, x: float, y: float, radius: float, strength: float, thick: int) -> None:
        centre = self._fixed(np.array([[x, y]]))[0]
        length = round(radius * _SCALE * 2**_SHIFT)
        cv2.circle(self._canvas, centre, length, 255 * strength, thick, cv2.LINE_8, _SHIFT)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """To OpenCV's fixed point; pixel centres lie at integers, hence the half."""
        inside = (np.asarray(points, np.float64) - self._origin + 0.5) * _SCALE - 0.5
        fixed: NDArray[np.int32] = np.round(inside * 2**_SHIFT).astype(np.int32)
        return fixed


def curve(corners: Points, n: int) -> Points:
    """Return `n` points (..., n, 2) of the quadratic Bezier curves with `corners` (..., 3, 2)."""
    t = np.linspace(0, 1, n)
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    points: Points = weights @ corners
    return points


def turned(points: Points, degrees: float, about: Points, to: Points) -> Points:
    """Rotate `points` (k, 2) clockwise about one point, and carry that point to another."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotated: Points = (points - about) @ np.array([[c, s], [-s, c]]) + to
    return rotated
