"""Images decoded and resized once, and kept in memory as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, XattnError
from xattn.images import Preprocessing, read_image
from xattn.images.prefetch import prefetch
from xattn.runs.record import file_sha256
from xattn.splits.samples import Failure, Sample

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total)."""


@dataclass(frozen=True)
class DecodedImages:
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


def decode_images(
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> DecodedImages:
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
    pixels = _allocate(len(samples), preprocessing)
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
    return DecodedImages(tuple(good), pixels[: len(good)], hashes, tuple(failures))


def _allocate(n: int, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    shape = (n, *preprocessing.size, 3)
    try:
        return np.empty(shape, dtype=np.uint8)
    except MemoryError:
        raise XattnError(
            f"Expected {np.prod(shape, dtype=float) / 1e9:.1f} GB of memory for {n} decoded "
            "images, but there is not as much; lower `size` under [data]"
        ) from None
