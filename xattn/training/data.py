"""Images in memory, once decoded and resized, and the batches that are made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xattn.errors import ImageError, XattnError
from xattn.images import Preprocessing, read_image
from xattn.images.prefetch import prefetch
from xattn.runs.record import file_sha256
from xattn.splits.samples import Failure, Sample, labels_of
from xattn.training.augment import stream

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total)."""

Batch = tuple[Tensor, Tensor]
"""uint8 pixels (n, 3, height, width), strided as channels last, and class indices (n,)."""


@dataclass(frozen=True)
class ImageCache:
    """Decoded samples: row i of `pixels` is sample i.

    Attributes:
        samples: the images that could be read.
        pixels: uint8 (n, height, width, 3), resized but neither scaled nor normalised.
        hashes: sample id -> SHA-256 of the file's bytes.
        failures: the files that could not be read.
    """

    samples: tuple[Sample, ...]
    pixels: NDArray[np.uint8]
    hashes: dict[str, str]
    failures: tuple[Failure, ...]

    def rows(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Return the rows of samples by id."""
        row = {sample.id: i for i, sample in enumerate(self.samples)}
        return np.array([row[one] for one in ids], dtype=np.intp)


def decode_all(
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ImageCache:
    """Decode and resize every image once, in threads.

    A 128 x 128 image takes 48 KB: 20,000 of them a gigabyte.

    Args:
        samples: what to read; an image that cannot be read is left out and reported.
        preprocessing: its size and mode; scaling and normalising are left to the batch.
        workers: threads; default one per core, at most 4.
        progress: called with ("decode", images done, images in all).

    Raises:
        XattnError: not one image could be read, or they do not fit into memory.
    """
    pixels = _room_for(len(samples), preprocessing)
    threads = min(4, os.cpu_count() or 1) if workers is None else workers

    def work(sample: Sample) -> tuple[NDArray[np.uint8], str] | Failure:
        try:
            image = preprocessing.pixels(read_image(sample.file, window=preprocessing.window).image)
        except ImageError as err:
            return Failure(sample.file, "decode", str(err))
        return image, file_sha256(sample.file)

    good: list[Sample] = []
    hashes: dict[str, str] = {}
    failures: list[Failure] = []
    for done, (sample, result) in enumerate(
        zip(samples, prefetch(work, samples, threads), strict=True), start=1
    ):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            pixels[len(good)], hashes[sample.id] = result
            good.append(sample)
        if progress is not None:
            progress("decode", done, len(samples))
    if not good:
        raise XattnError(
            f"Expected readable images, but not one of {len(samples)} is: {failures[0].error}"
        )
    return ImageCache(tuple(good), pixels[: len(good)], hashes, tuple(failures))


class Batches:
    """The batches of one pass over some rows of a cache, or one process's share of each.

    Batches are cut to nearly equal sizes. None holds a single image, of which batch norm could
    make nothing: with `batch_size` 2 and an odd number, one batch has three.

    Args:
        cache: the images.
        rows: in the order of the pass.
        batch_size: images of a batch, over all processes.
        rank, world: which process this is, and of how many.
    """

    def __init__(
        self,
        cache: ImageCache,
        rows: NDArray[np.intp],
        batch_size: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._pixels, self._labels = cache.pixels, labels_of(cache.samples)
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
    return np.random.default_rng(stream(seed, epoch)).permutation(rows)


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
    rng = np.random.default_rng(stream(seed, epoch))
    present = np.unique(labels)
    quotas = np.diff(np.linspace(0, len(rows), len(present) + 1).round().astype(int))
    drawn = []
    for label, quota in zip(present, quotas, strict=True):
        own = rows[labels == label]
        rounds = np.tile(own, (-(-quota // len(own)), 1))
        drawn.append(rng.permuted(rounds, axis=1).ravel()[:quota])
    return rng.permutation(np.concatenate(drawn))


def _room_for(n: int, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    shape = (n, *preprocessing.size, 3)
    try:
        return np.empty(shape, dtype=np.uint8)
    except MemoryError:
        raise XattnError(
            f"Expected {np.prod(shape, dtype=float) / 1e9:.1f} GB of memory for {n} decoded "
            "images, but there is not as much; lower `size` under [data]"
        ) from None
