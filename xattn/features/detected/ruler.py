"""Rulers: a straight line with ticks at equal distances on one side of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.features.detected.framed_image import FramedImage, disc
from xattn.features.detected.registry import RawDetection, detector
from xattn.images.domains import SKIN
from xattn.stats.arrays import Floats32

_STEP = 3.0
"""Degrees between the directions searched; refined afterwards."""
_WINDOW = 80
"""Pixels along which a line must be straight."""
_CANDIDATES = 5
_FAINT, _STRONG, _STRONGEST = 1.0, 6.0, 12.0
_PERIODS = range(7, 20)
_HALF = 54


@dataclass(frozen=True)
class _Line:
    """A straight dark line: angle (degrees) to which the image is turned, then row and column."""

    strength: float
    angle: float
    row: int
    column: int


@detector(
    "ruler",
    middle=0.536,
    spread=0.105,
    meaning="a straight dark line with ticks at equal distances",
    source="autocorrelation of the profile along straight lines; ours",
    overlap=0.42,
    domains=SKIN,
)
def ruler(image: FramedImage) -> RawDetection:
    """Search straight lines in all directions; see how regular the strips beside them are.

    The evidence is (fraction of the line that is dark) x (how periodic the ticks are), at best.
    """
    dark = cv2.morphologyEx(image.light, cv2.MORPH_CLOSE, disc(9)) - image.light
    dark = np.minimum(np.where(image.inner, dark, 0), _STRONGEST).astype(np.float32)
    best, where = 0.0, None
    for line in _straight_lines(np.minimum(image.dark_lines * image.inner, _STRONG)):
        for turn in (-1.5, -0.5, 0.5, 1.5):
            turned = _turned(dark, line.angle + turn)
            evidence, row = _ticks(turned, line)
            if evidence > best:
                best, where = evidence, (line.angle + turn, row, line.column)
    return RawDetection(best, _mask(dark, *where) if where else np.zeros(dark.shape, dtype=bool))


def _straight_lines(dark: Floats32) -> list[_Line]:
    """Return the strongest straight lines, searched at half the resolution."""
    half = np.asarray(
        cv2.resize(dark, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32
    )
    found = []
    for angle in np.arange(0, 180, _STEP):
        along = cv2.blur(_turned(half, angle), (_WINDOW // 2, 1))
        thin = along - np.minimum(np.roll(along, 3, axis=0), np.roll(along, -3, axis=0))
        row, column = np.unravel_index(int(thin.argmax()), thin.shape)
        found.append(_Line(float(thin[row, column]), float(angle), 2 * int(row), 2 * int(column)))
    return sorted(found, key=lambda line: -line.strength)[:_CANDIDATES]


def _ticks(turned: Floats32, line: _Line) -> tuple[float, int]:
    """Return the evidence for ticks beside a line, and the row of the line."""
    left, right = max(0, line.column - _HALF), line.column + _HALF
    top = max(0, line.row - 5)
    rows = np.minimum(turned[top : line.row + 7, left:right], _STRONG).mean(axis=1)
    row = top + int(rows.argmax())
    if not 8 <= row < len(turned) - 8:
        return 0.0, row
    covered = float((turned[row, left:right] > _FAINT).mean())
    strips = turned[row - 6 : row - 1, left:right], turned[row + 2 : row + 7, left:right]
    return covered * max(_periodicity(strip.mean(axis=0)) for strip in strips), row


def _periodicity(profile: Floats32) -> float:
    """Return how well a profile repeats itself after one and two periods, but not after half.

    0 for noise, about 1 for ticks.
    """
    profile = np.minimum(profile, _STRONG)
    profile = profile - cv2.blur(profile[None], (21, 1))[0]
    repeats = _autocorrelation(profile)
    period = np.array(_PERIODS)
    twice = 1.2 * repeats[2 * period] + 0.25
    return float((np.minimum(repeats[period], twice) - repeats[period // 2].clip(-0.2)).max())


def _autocorrelation(values: Floats32) -> NDArray[np.float64]:
    """Return the autocorrelation at lags 0 to 40, each a mean over the pairs there are."""
    lags = np.arange(2 * max(_PERIODS) + 3)
    spectrum = np.fft.rfft(values, n=2 * len(values) + len(lags))
    sums = np.fft.irfft(np.abs(spectrum) ** 2)[: len(lags)]
    means = sums / np.maximum(1, len(values) - lags)
    return np.asarray(means / (means[0] + 0.05))


def _turned(values: Floats32, angle: float) -> Floats32:
    """Turn values about the middle into a square that holds them at any angle, 0 beyond."""
    matrix, side = _turn(values.shape, angle)
    return np.asarray(cv2.warpAffine(values, matrix, (side, side), flags=cv2.INTER_LINEAR))


def _turn(shape: tuple[int, ...], angle: float) -> tuple[NDArray[np.float64], int]:
    height, width = shape
    side = int(np.ceil(np.hypot(height, width)))
    middle = (width - 1) / 2, (height - 1) / 2
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, angle, 1), dtype=np.float64)
    matrix[:, 2] += np.array([side - width, side - height]) / 2
    return matrix, side


def _mask(dark: Floats32, angle: float, row: int, column: int) -> NDArray[np.bool_]:
    """Return the dark pixels of the line and the strips beside it, widened by one."""
    matrix, side = _turn(dark.shape, angle)
    strip = np.zeros((side, side), dtype=np.uint8)
    strip[max(0, row - 8) : row + 9, max(0, column - _HALF - 4) : column + _HALF + 4] = 1
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    near = cv2.warpAffine(strip, matrix, dark.shape[::-1], flags=flags)
    marks = ((near > 0) & (dark > 2 * _FAINT)).astype(np.uint8)
    return np.asarray(cv2.dilate(marks, np.ones((3, 3), np.uint8)), dtype=bool)
