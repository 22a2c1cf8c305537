"""Smooth random fields: small grids of random numbers, read with cubic interpolation.

Fields are float32 with mean near 0 and standard deviation near 1. Only the grid is random, so a
field costs a fraction of a millisecond and does not depend on the resolution it is read at.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Rng = np.random.Generator

_CUBIC_LOSS = 1.12
"""Interpolating white noise between its nodes averages it; this restores unit deviation."""


def fractal(rng: Rng, size: tuple[int, int], cells: float, octaves: int = 1) -> Field:
    """Return a field (height, width) of about `cells` blobs along the shorter side.

    Each octave adds detail of twice the frequency and half the amplitude.
    """
    step = min(size) / cells
    grid = _grid(rng, (size[0] / step, size[1] / step), octaves)
    return _resized(grid, size)


def attached(rng: Rng, x: Field, y: Field, cells: tuple[float, float], octaves: int = 1) -> Field:
    """Return a fractal field read at coordinates `x`, `y`, each over [-1, 1].

    Being a function of the coordinates, the field turns and shrinks with whatever they are
    attached to. Coordinates beyond [-1, 1] read the mirrored field.

    Args:
        x, y: float32 of any one shape.
        cells: blobs along x and along y in the first octave.
        octaves: see `fractal`.
    """
    grid = _grid(rng, (cells[1], cells[0]), octaves)
    half_x, half_y = np.float32(grid.shape[1] / 2), np.float32(grid.shape[0] / 2)
    map_x = x * half_x + (half_x - np.float32(0.5))
    map_y = y * half_y + (half_y - np.float32(0.5))
    field = cv2.remap(grid, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(field, np.float32)


def ramp(values: Field, low: float, high: float) -> Field:
    """Rise smoothly from 0 at `low` to 1 at `high` (cubic Hermite); `low > high` falls instead."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    smoothed: Field = t * t * (np.float32(3) - np.float32(2) * t)
    return smoothed


def _grid(rng: Rng, nodes: tuple[float, float], octaves: int) -> Field:
    """Return random nodes (rows, columns) of the finest octave, all octaves summed."""
    rows, cols = (max(3, round(n)) for n in nodes)
    grid = rng.standard_normal((rows, cols), dtype=np.float32)
    for octave in range(1, octaves):
        rows, cols = 2 * rows, 2 * cols
        grid = _resized(grid, (rows, cols))
        grid += np.float32(0.5**octave) * rng.standard_normal((rows, cols), dtype=np.float32)
    norm = sum(0.25**octave for octave in range(octaves)) ** 0.5
    return grid * np.float32(_CUBIC_LOSS / norm)


def _resized(grid: Field, size: tuple[int, int]) -> Field:
    finer = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(finer, np.float32)
