"""Where the cells of a patch lie, and their nuclei: small round ones, and those of a tumour."""

from __future__ import annotations

from dataclasses import dataclass

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
    for x, y in _places(rng, size, 7.4 * unit / crowded):
        row, col = min(int(y), size[0] - 1), min(int(x), size[1] - 1)
        if gaps[row, col] > 0.3 or rng.random() < 0.12:
            continue
        tumour = bool(growth[row, col])
        if tumour and rng.random() < 0.5:  # large cells need more room
            continue
        radius = unit * (_LARGE if tumour else _SMALL) * (grown if tumour else grown**0.5)
        radius *= float(np.exp(rng.normal(0, 0.20 if tumour else 0.08)))
        shape = (radius * rng.uniform(1.0, 1.45 if tumour else 1.12), radius)
        turn = float(rng.uniform(0, 180))
        nuclei.oval(x, y, shape, turn, 1.0)
        dark = rng.uniform(0.40, 0.65) if tumour else rng.uniform(0.85, 1.0)
        chromatin.oval(x, y, shape, turn, dark)
        if tumour:  # paler within its border, with a nucleolus
            chromatin.oval(x, y, (shape[0] * 0.78, shape[1] * 0.78), turn, dark * 0.64)
            spot = rng.uniform(-0.35, 0.35, 2) * radius
            chromatin.dot(x + spot[0], y + spot[1], 0.24 * radius, 0.8)
    fibres = fractal(rng, size, 20, 2)
    body = np.clip(0.62 + 0.16 * texture + 0.10 * fibres, 0.15, 1.2) * (1 - gaps)
    covered = nuclei.coverage()
    return Cells(
        growth, covered, chromatin.coverage(), body.astype(np.float32), (gaps * (1 - covered))
    )


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
