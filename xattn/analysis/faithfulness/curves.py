"""Deletion and insertion: the class's probability while pixels go, or come, in the map's order.

Source: Petsiuk, Das and Saenko 2018 (RISE), arXiv:1806.07421, section 4.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.images import Cells
from xattn.images.cells import upsample
from xattn.models.interface import Model

STEPS = 16
"""Equal parts in which the pixels go."""
BLUR = 1 / 20
"""Standard deviation of the blur that insertion begins with, as a fraction of the shorter side."""


def confidence(model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the probability of each image's class, float64 (n,) on the CPU.

    Args:
        model: whose predictions these are.
        inputs: (n, 3, height, width), normalised.
        targets: (n,) classes.
    """
    with torch.inference_mode():
        found = model.probabilities(inputs)
        return found.gather(1, targets[:, None].to(found.device))[:, 0].cpu()


def pixel_ranks(maps: Tensor, cells: Cells, ties: Tensor) -> Tensor:
    """Rank the pixels of an input by maps of any grid, 0 the most relevant.

    Maps are enlarged as for the mask scores (`upsample`). Where pixels tie, as in the zeros of a
    map cut at 0, chance decides: in the order of memory an empty map would begin at the top.

    Args:
        maps: (n, h, w), finite.
        cells: where their cells lie in the input.
        ties: (n, height * width), any distinct numbers.

    Returns:
        (n, height * width), whole numbers from 0.
    """
    flat = torch.from_numpy(upsample(maps.numpy(), cells)).flatten(1)
    shuffled = ties.argsort(dim=1)
    order = shuffled.gather(
        1, flat.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    )
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def gone(ranks: Tensor, fraction: float, size: tuple[int, int]) -> Tensor:
    """Mark the most relevant fraction of pixels: booleans (n, 1, height, width).

    Args:
        ranks: (n, pixels), 0 for the most relevant.
        fraction: of the pixels, in [0, 1].
        size: (height, width).

    Returns:
        (n, 1, height, width) booleans.
    """
    first = ranks < round(fraction * ranks.shape[1])
    return first.reshape(len(ranks), 1, *size)


def replacement_auc(
    model: Model, start: Tensor, end: Tensor, ranks: Tensor, targets: Tensor, steps: int = STEPS
) -> Tensor:
    """Return the mean probability while `start` becomes `end`, the most relevant pixels first.

    Args:
        start, end: (n, 3, height, width).
        ranks: from `pixel_ranks`.
        targets: (n,), the explained classes.
        steps: equal parts; the area is the trapezoids' over steps + 1 points.

    Returns:
        float64 (n,), in [0, 1].
    """
    size = (start.shape[2], start.shape[3])
    ranks = ranks.to(start.device)
    curve = torch.stack(
        [
            confidence(model, torch.where(gone(ranks, k / steps, size), end, start), targets)
            for k in range(steps + 1)
        ]
    )
    return torch.trapezoid(curve, dim=0) / steps


def blurred(inputs: Tensor) -> Tensor:
    """Blur inputs (n, 3, height, width) by a Gaussian; what lies outside repeats the border.

    Args:
        inputs: (n, 3, height, width).

    Returns:
        As `inputs`.
    """
    sigma = BLUR * min(inputs.shape[2:])
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=inputs.dtype, device=inputs.device)
    bell = torch.exp(-(offsets**2) / (2 * sigma**2))
    bell = (bell / bell.sum()).expand(inputs.shape[1], 1, 1, -1)
    padded = F.pad(inputs, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, bell, groups=inputs.shape[1])
    return F.conv2d(rows, bell.transpose(2, 3), groups=inputs.shape[1])
