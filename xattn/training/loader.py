"""How batches are made: the rows of each epoch in their order, cut into parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xattn.splits.samples import answers_of, exclude_each_other, labels_of
from xattn.stats.seeds import seed_for
from xattn.training.decoding import DecodedImages

Batch = tuple[Tensor, Tensor]
"""Pixels (n, 3, height, width) of 0 to 255, uint8 or float32, strided as channels last, and class
indices (n,), or what is known of each finding (n, findings), see `answers_of`."""


class BatchLoader:
    """The batches of one pass over some of the images, or one process's part of each.

    BatchLoader are cut to nearly equal sizes. None holds a single image, of which batch norm could
    make nothing: with `batch_size` 2 and an odd number, one batch has three.

    Args:
        images: the decoded images.
        rows: which of them, in the order of the pass.
        batch_size: images of a batch, over all processes.
        rank, world: which process this is, and of how many.
    """

    def __init__(
        self,
        images: DecodedImages,
        rows: NDArray[np.intp],
        batch_size: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        known = labels_of if exclude_each_other(images.samples) else answers_of
        self._pixels, self._labels = images.pixels, known(images.samples)
        wanted, most = -(-len(rows) // batch_size), len(rows) // (2 * world)
        parts = np.array_split(rows, max(1, min(wanted, most)))
        self._parts = [np.array_split(part, world)[rank] for part in parts]

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._parts:
            pixels = torch.from_numpy(self._pixels[rows]).permute(0, 3, 1, 2)
            yield pixels, torch.from_numpy(self._labels[rows])


def shuffled(rows: NDArray[np.intp], seed: int, epoch: int) -> NDArray[np.intp]:
    """Return rows in the order of one epoch: a function of seed and epoch alone."""
    return np.random.default_rng(seed_for(seed, epoch)).permutation(rows)


def balanced(
    rows: NDArray[np.intp], labels: NDArray[np.intp], seed: int, epoch: int
) -> NDArray[np.intp]:
    """Return as many rows, of every class alike, in the order of one epoch.

    Numbers of the classes differ by one at most. Every image of a class comes once before any
    comes again; of a frequent class each epoch takes others.

    Args:
        rows: (n,).
        labels: (n,), class indices of the rows.
        seed, epoch: what chance follows from.
    """
    rng = np.random.default_rng(seed_for(seed, epoch))
    present = np.unique(labels)
    quotas = np.diff(np.linspace(0, len(rows), len(present) + 1).round().astype(int))
    drawn = []
    for label, quota in zip(present, quotas, strict=True):
        own = rows[labels == label]
        rounds = np.tile(own, (-(-quota // len(own)), 1))
        drawn.append(rng.permuted(rounds, axis=1).ravel()[:quota])
    return rng.permutation(np.concatenate(drawn))
