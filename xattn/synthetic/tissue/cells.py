"""Where the cells of a patch lie, and their nuclei: small round ones, and those of a tumour."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xattn.stats.seeds import generator_for
from xattn.synthetic.brush import Brush
from xattn.synthetic.layers import Frame
from xattn.synthetic.noise import Field, fractal, ramp
from xattn.synthetic.tissue.plan import LABELS, TissueSpec

Mask = NDArray[np.bool_]

_SMALL, _LARGE = 2.9, 5.4
"""Mean radius of nuclei of lymphocytes and of tumour, in pixels of a patch of 96."""

_TRIED = 60
"""Places among which one more nucleus takes the one with most room."""


@dataclass(frozen=True)
class Cells:
    """The cells of a patch, as fields (height, width) in [0, 1].

    Attributes:
        growth: where tumour grows; nowhere in a normal patch.
        nuclei: fraction of each pixel that nuclei cover.
        chromatin: amount of haematoxylin in them, about 1 for a lymphocyte's.
        body: cytoplasm and fibres, which take eosin.
        gaps: empty glass between cells.
    """

    growth: Mask
    nuclei: Field
    chromatin: Field
    body: Field
    gaps: Field


def draw_cells(spec: TissueSpec, size: tuple[int, int]) -> Cells:
    """Place and draw the cells of a patch.

    Args:
        spec: of the patch.
        size: (height, width) in pixels.
    """
    rng = generator_for(spec.seed, "patch", spec.index, "cells")
    unit = min(size) / 96
    growth = _growth(spec, rng, size)
    grown = np.exp(0.16 * spec.traits["nuclear_size"])
    crowded = np.exp(0.12 * spec.traits["nuclear_density"])
    texture = fractal(rng, size, 6, 3)
    gaps = ramp(texture + 0.6 * fractal(rng, size, 14, 2), 1.0, 1.7) * np.float32(0.85)
    frame = Frame(0, 0, size, size[1])
    nuclei, chromatin = Brush(frame), Brush(frame)
    found = []
    for x, y in _places(rng, size, 7.4 * unit / crowded):
        row, col = min(int(y), size[0] - 1), min(int(x), size[1] - 1)
        if gaps[row, col] > 0.3 or rng.random() < 0.12:
            continue
        tumour = bool(growth[row, col])
        if tumour and rng.random() < 0.5:  # large cells need more room
            continue
        found.append(_nucleus(rng, x, y, tumour, unit, grown))
    larger = 1 + spec.strength.get("nuclear_size", 0.0)
    for one in _more_or_fewer(spec, found, growth, gaps, unit, grown):
        _paint(one.scaled(larger), nuclei, chromatin)
    fibres = fractal(rng, size, 20, 2)
    body = np.clip(0.62 + 0.16 * texture + 0.10 * fibres, 0.15, 1.2) * (1 - gaps)
    covered = nuclei.coverage()
    return Cells(
        growth, covered, chromatin.coverage(), body.astype(np.float32), (gaps * (1 - covered))
    )


@dataclass(frozen=True)
class Nucleus:
    """One nucleus.

    Attributes:
        x, y: its middle, in pixels.
        radius: of its shorter axis, in pixels.
        shape: both half axes, in pixels.
        turn: of the longer axis, in degrees.
        dark: amount of haematoxylin.
        spot: place (x, y) of the nucleolus from the middle; None without one.
    """

    x: float
    y: float
    radius: float
    shape: tuple[float, float]
    turn: float
    dark: float
    spot: tuple[float, float] | None

    def scaled(self, by: float) -> Nucleus:
        """Return it larger or smaller, in place."""
        spot = None if self.spot is None else (self.spot[0] * by, self.spot[1] * by)
        shape = (self.shape[0] * by, self.shape[1] * by)
        return replace(self, radius=self.radius * by, shape=shape, spot=spot)


def _nucleus(
    rng: np.random.Generator, x: float, y: float, tumour: bool, unit: float, grown: float
) -> Nucleus:
    radius = unit * (_LARGE if tumour else _SMALL) * (grown if tumour else grown**0.5)
    radius *= float(np.exp(rng.normal(0, 0.20 if tumour else 0.08)))
    shape = (radius * rng.uniform(1.0, 1.45 if tumour else 1.12), radius)
    turn = float(rng.uniform(0, 180))
    dark = rng.uniform(0.40, 0.65) if tumour else rng.uniform(0.85, 1.0)
    spot = rng.uniform(-0.35, 0.35, 2) * radius if tumour else None
    place = None if spot is None else (float(spot[0]), float(spot[1]))
    return Nucleus(x, y, radius, shape, turn, dark, place)


def _paint(one: Nucleus, nuclei: Brush, chromatin: Brush) -> None:
    nuclei.oval(one.x, one.y, one.shape, one.turn, 1.0)
    chromatin.oval(one.x, one.y, one.shape, one.turn, one.dark)
    if one.spot is not None:  # of a tumour: paler within its border, with a nucleolus
        pale = (one.shape[0] * 0.78, one.shape[1] * 0.78)
        chromatin.oval(one.x, one.y, pale, one.turn, one.dark * 0.64)
        chromatin.dot(one.x + one.spot[0], one.y + one.spot[1], 0.24 * one.radius, 0.8)


def _more_or_fewer(
    spec: TissueSpec,
    found: list[Nucleus],
    growth: Mask,
    gaps: Field,
    unit: float,
    grown: float,
) -> list[Nucleus]:
    """Leave a fraction of the nuclei out, or add some where there is most room; the others stay."""
    more = spec.strength.get("nuclear_density", 0.0)
    if not more:
        return found
    rng = generator_for(spec.seed, "patch", spec.index, "density")
    number = round(abs(more) * len(found))
    if more < 0:
        gone = set(rng.permutation(len(found))[:number].tolist())
        return [one for i, one in enumerate(found) if i not in gone]
    height, width = growth.shape
    for _ in range(number):
        rows, cols = rng.integers(height, size=_TRIED), rng.integers(width, size=_TRIED)
        x, y, radius = np.array([(one.x, one.y, one.radius) for one in found]).T
        room = (np.hypot(cols[:, None] - x, rows[:, None] - y) - radius).min(axis=1)
        room[gaps[rows, cols] > 0.3] = -np.inf
        best = int(np.argmax(room))
        row, col = int(rows[best]), int(cols[best])
        found = [*found, _nucleus(rng, col, row, bool(growth[row, col]), unit, grown)]
    return found


def _growth(spec: TissueSpec, rng: np.random.Generator, size: tuple[int, int]) -> Mask:
    """Return where tumour grows: a part of the patch that holds its middle, as in WILDS."""
    field = fractal(rng, size, 3, 2)
    rows, cols = np.mgrid[: size[0], : size[1]]
    away = np.hypot(rows / size[0] - 0.5, cols / size[1] - 0.5).astype(np.float32)
    wanted = float(rng.uniform(0.4, 0.9))
    height = field * np.float32(0.5) - away * np.float32(3.5)
    if spec.label != LABELS[1]:
        return np.zeros(size, dtype=bool)
    return np.asarray(height > np.quantile(height, 1 - wanted))


def _places(rng: np.random.Generator, size: tuple[int, int], step: float) -> NDArray[np.float64]:
    """Return (x, y) of cells: a grid of triangles whose points were moved, in random order."""
    rows = np.arange(-step, size[0] + step, step * 0.87)
    cols = np.arange(-step, size[1] + step, step)
    y, x = np.meshgrid(rows, cols, indexing="ij")
    x = x + step / 2 * (np.arange(len(rows)) % 2)[:, None]
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points += rng.normal(0, 0.2 * step, points.shape)
    inside = (points > -step / 2) & (points < np.array([size[1], size[0]]) + step / 2)
    return np.asarray(rng.permutation(points[inside.all(axis=1)]))
