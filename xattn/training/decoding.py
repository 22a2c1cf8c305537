"""Images decoded and resized once, and kept in memory as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, XattnError
from xattn.images import Preprocessing, read_image
from xattn.images.levels import Pixels
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
        pixels: (n, height, width, 3) of 0 to 255, resized but neither scaled nor normalised;
            uint8, or float32 if any file is deeper than 8 bits.
        hashes: sample id -> SHA-256 of the file's bytes.
        failures: the files that could not be read.
    """

    samples: tuple[Sample, ...]
    pixels: Pixels
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

    A 128 x 128 image takes 48 KB: 20,000 of them a gigabyte, or four if they are deep.

    Args:
        samples: what to read; an image that cannot be read is left out and reported.
        preprocessing: its size and mode; scaling and normalising are left to the batch.
        workers: threads; default one per core, at most 4.
        progress: called with ("decode", images done, images in all).

    Raises:
        XattnError: not one image could be read, or they do not fit into memory.
    """
    pixels = _allocate(len(samples), preprocessing, np.dtype(np.uint8))
    threads = min(4, os.cpu_count() or 1) if workers is None else workers

    def work(sample: Sample) -> tuple[Pixels, str] | Failure:
        try:
            decoded = read_image(sample.file, window=preprocessing.window)
            image = preprocessing.pixels(decoded.levels)
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
            image, hashes[sample.id] = result
            if image.dtype != np.uint8 and pixels.dtype == np.uint8:  # the first deep one
                eight_bits = pixels[: len(good)]
                pixels = _allocate(len(samples), preprocessing, image.dtype)
                pixels[: len(good)] = eight_bits
            pixels[len(good)] = image
            good.append(sample)
        if progress is not None:
            progress("decode", done, len(samples))
    if not good:
        raise XattnError(
            f"Expected readable images, but not one of {len(samples)} is: {failures[0].error}"
        )
    return DecodedImages(tuple(good), pixels[: len(good)], hashes, tuple(failures))


def _allocate(n: int, preprocessing: Preprocessing, dtype: np.dtype[Any]) -> Pixels:
    shape = (n, *preprocessing.size, 3)
    try:
        return np.empty(shape, dtype=dtype)
    except MemoryError:
        gigabytes = np.prod(shape, dtype=float) * dtype.itemsize / 1e9
        raise XattnError(
            f"Expected {gigabytes:.1f} GB of memory for {n} decoded images, but there is not as "
            "much; lower `size` under [data]"
        ) from None
