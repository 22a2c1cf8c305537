"""Maps that know nothing of the model, and random numbers that belong to an image."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RANDOM, EDGES = "control-random", "control-edges"
CONTROLS = (RANDOM, EDGES)


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the names alone."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def uniform(ids: Sequence[str], shape: tuple[int, ...], seed: int, *names: str) -> Tensor:
    """Draw numbers in [0, 1) for each image, whatever its company: float64 (n, *shape)."""
    drawn = [stream(seed, id_, *names).random(shape) for id_ in ids]
    return torch.from_numpy(np.stack(drawn))


def random_maps(ids: Sequence[str], grid: tuple[int, int], seed: int, draw: str = "") -> Tensor:
    """Return uniform random maps, (n, h, w); another `draw` gives others."""
    return uniform(ids, grid, seed, RANDOM, draw)


def edge_maps(inputs: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return how strong the picture's edges are in each cell of a grid.

    Args:
        inputs: (n, 3, height, width), normalised or not.
        grid: (h, w).

    Returns:
        float64 (n, h, w): the magnitude of Sobel's gradient of the mean colour, averaged over the
        cell.
    """
    grey = F.pad(inputs.double().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([across, across.T])[:, None]
    magnitude = F.conv2d(grey, kernels).square().sum(dim=1, keepdim=True).sqrt()
    return F.adaptive_avg_pool2d(magnitude, grid)[:, 0].cpu()
