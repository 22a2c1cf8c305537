"""ROAD: pixels are taken away by drawing them from their neighbours, which hides where they were.

Source: Rong et al. 2022, arXiv:2202.00449. A missing pixel is the weighted mean of its eight
neighbours, missing ones included: a system of linear equations. It is symmetric and positive, so
conjugate gradients solve it, for all images at once; they begin with the solution on an image of
half the size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.analysis.faithfulness.controls import uniform
from xattn.analysis.faithfulness.curves import confidence, gone
from xattn.models.interface import Model

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Fractions of the pixels that are taken away; scores are means over them."""
NOISE = 0.01
"""Standard deviation of the noise on drawn pixels, in units of the normalised input."""
TOLERANCE = 1e-3
_SMALLEST = 8
_MOST_ITERATIONS = 2000


def road(
    model: Model, inputs: Tensor, ranks: Tensor, targets: Tensor, ids: Sequence[str], seed: int
) -> tuple[Tensor, Tensor]:
    """Return the class's mean probability without the most, and without the least relevant pixels.

    Args:
        model: stays as it is.
        inputs: (n, 3, height, width).
        ranks: (n, height * width), 0 the most relevant.
        targets: (n,), the explained classes.
        ids, seed: of the noise.

    Returns:
        (MoRF, LeRF), float64 (n,) each, in [0, 1].
    """
    size = (inputs.shape[2], inputs.shape[3])
    ranks = ranks.to(inputs.device)
    bell = torch.special.ndtri(uniform(ids, tuple(inputs.shape[1:]), seed, "road").clamp(1e-12))
    noise = NOISE * bell.to(inputs)
    found = []
    for order in (ranks, ranks.shape[1] - 1 - ranks):
        each = []
        for fraction in FRACTIONS:
            holes = gone(order, fraction, size)
            without = torch.where(holes, impute(inputs, holes) + noise, inputs)
            each.append(confidence(model, without, targets))
        found.append(torch.stack(each).mean(dim=0))
    return found[0], found[1]


def impute(images: Tensor, holes: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """Fill holes so that each missing pixel is the weighted mean of its neighbours.

    Neighbours beside a pixel weigh 1/6, those across its corners 1/12; at the border the weights
    that are there are scaled to 1.

    Args:
        images: (n, C, height, width).
        holes: (n, 1, height, width), booleans; a hole that is everything is filled with 0.
        tolerance: largest error of an equation that is left, in the unit of the images.

    Returns:
        (n, C, height, width); pixels outside the holes are those of `images`.
    """
    known = images.masked_fill(holes, 0)
    start = _halved_solution(known, holes, tolerance)
    return torch.where(holes, _solved(known, holes, start, tolerance), images)


def _halved_solution(known: Tensor, holes: Tensor, tolerance: float) -> Tensor:
    """Solve on an image of half the size, for a first guess."""
    if min(known.shape[2:]) < 2 * _SMALLEST:
        return torch.zeros_like(known)
    there = F.avg_pool2d((~holes).to(known), 2, ceil_mode=True)
    half = F.avg_pool2d(known, 2, ceil_mode=True) / there.clamp(min=1e-6)
    small = impute(half.masked_fill(there == 0, 0), there == 0, tolerance)
    return F.interpolate(small, size=known.shape[2:], mode="bilinear", align_corners=False)


def _solved(known: Tensor, holes: Tensor, start: Tensor, tolerance: float) -> Tensor:
    """Solve (weights' sum) x - (weights) x = (weights) known in the holes, from a first guess."""
    total = _neighbours(torch.ones_like(known[:1, :1]))
    inside = holes.to(known)

    def apply(x: Tensor) -> Tensor:
        return inside * (total * x - _neighbours(x))

    # A hole that is everything has no border: its equations say nothing, and 0 solves them.
    inside = inside * ~holes.all(dim=(2, 3), keepdim=True)
    x = inside * start
    residual = inside * _neighbours(known) - apply(x)
    direction = residual.clone()
    size = _dot(residual, residual)
    for _ in range(_MOST_ITERATIONS):
        # Each image goes on for as long as it needs, whatever the rest of the batch.
        going = residual.abs().amax(dim=(1, 2, 3), keepdim=True) > tolerance
        if not going.any():
            break
        applied = apply(direction)
        # Where a channel is solved to the last digit, its direction is 0.
        step = going * size / _dot(direction, applied).clamp(min=torch.finfo(x.dtype).tiny)
        x = x + step * direction
        residual = residual - step * applied
        new_size = _dot(residual, residual)
        direction = residual + new_size / size.clamp(min=torch.finfo(x.dtype).tiny) * direction
        size = new_size
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(2, 3), keepdim=True)


def _neighbours(x: Tensor) -> Tensor:
    """Sum the eight neighbours, weighted; none beyond the border.

    The weights are (1 2 1) down times (1 2 1) across over 12, less what falls on the pixel itself.
    """
    rows = 2 * x
    rows[..., 1:, :] += x[..., :-1, :]
    rows[..., :-1, :] += x[..., 1:, :]
    both = 2 * rows
    both[..., 1:] += rows[..., :-1]
    both[..., :-1] += rows[..., 1:]
    return both / 12 - x / 3
