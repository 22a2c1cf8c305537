"""Maps that know nothing of the model, and random numbers that belong to an image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.images import Cells
from xattn.stats.seeds import generator_for

RANDOM, EDGES = "control-random", "control-edges"
CONTROLS = (RANDOM, EDGES)


def uniform(ids: Sequence[str], shape: tuple[int, ...], seed: int, *names: str) -> Tensor:
    """Draw float64 (n, *shape) in [0, 1), for each image whatever the rest of the batch.

    Args:
        ids: of the n images.
        shape: of the numbers of each.
        seed, names: other ones give other numbers.

    Returns:
        float64 (n, *shape), on the CPU.
    """
    drawn = [generator_for(seed, id_, *names).random(shape) for id_ in ids]
    return torch.from_numpy(np.stack(drawn))


def random_maps(ids: Sequence[str], grid: tuple[int, int], seed: int, draw: str = "") -> Tensor:
    """Return uniform random maps, (n, h, w); another `draw` gives others.

    Args:
        ids: of the n images.
        grid: (h, w).
        seed: of all draws.
        draw: name of this one.
    """
    return uniform(ids, grid, seed, RANDOM, draw)


def edge_maps(inputs: Tensor, cells: Cells) -> Tensor:
    """Return how strong the image's edges are at each cell of a map.

    Args:
        inputs: (n, 3, height, width), normalised or not.
        cells: where the cells lie in the input.

    Returns:
        float64 (n, h, w): the magnitude of Sobel's gradient of the mean colour, averaged over the
        pixels that are nearer to the cell than to others.
    """
    grey = F.pad(inputs.double().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([across, across.T])[:, None]
    magnitude = F.conv2d(grey, kernels).square().sum(dim=1).sqrt().cpu()
    rows = _mean_over_own(cells.y, inputs.shape[2])
    columns = _mean_over_own(cells.x, inputs.shape[3])
    return rows @ magnitude @ columns.T


def _mean_over_own(centres: tuple[float, ...], pixels: int) -> Tensor:
    """Return (cells, pixels): the mean over each cell's own pixels, those cut in two included.

    A cell beyond the input has the pixel at the border.
    """
    middle = (np.array(centres[1:]) + np.array(centres[:-1])) / 2 + 0.5
    edges = np.clip(np.concatenate([[0], middle, [pixels]]), 0, pixels).round(6)
    mean = torch.zeros(len(centres), pixels, dtype=torch.float64)
    for cell, (low, high) in enumerate(pairwise(edges)):
        first = min(int(np.floor(low)), pixels - 1)
        last = max(int(np.ceil(high)), first + 1)
        mean[cell, first:last] = 1 / (last - first)
    return mean
