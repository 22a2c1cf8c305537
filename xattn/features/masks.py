"""The masks of all images, brought into the run's view and written down, a chunk at a time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from xattn.disk import writing_to
from xattn.errors import AnnotationError, ImageError
from xattn.images.geometry import sample_mask
from xattn.images.prefetch import prefetch
from xattn.runs import RunFolder
from xattn.runs.arrays import create_array

if TYPE_CHECKING:
    from xattn.annotations.records import AnnotatedImage, Annotations

Progress = Callable[[int, int], None]
"""Called as progress(done, total)."""

Numbers = dict[str, NDArray[np.float64]]
"""By feature, one number an image."""

_CHUNK_PIXELS = 2**20


@dataclass(frozen=True)
class MaskProblem:
    """One mask that could not be used."""

    image_id: str
    file: str
    error: str


@dataclass(frozen=True)
class MaskReading:
    """Reads the masks of all images, chunk by chunk, and writes one array a feature."""

    run: RunFolder
    annotations: Annotations
    known: list[AnnotatedImage | None]
    features: list[str]

    def write(
        self, store: Path, progress: Progress | None, workers: int
    ) -> tuple[Numbers, Numbers, list[MaskProblem], Counter[str]]:
        """Fill `store`; return each feature's area and number of parts per image, and problems.

        Both are NaN without a mask. Last come the numbers of masks of each feature of which the
        model's crop left nothing.

        Args:
            store: folder of the masks.
            progress: called as progress(done, total).
            workers: threads that read.

        Returns:
            By feature the fraction of the view and the number of parts per image (n,), the
            problems, and numbers of masks of which the model's crop left nothing.
        """
        n, (height, width) = len(self.known), self.run.preprocessing.size
        rows = max(1, _CHUNK_PIXELS // (height * width))
        zarr.create_group(store)
        arrays = {
            name: create_array(
                store / name,
                (n, height, width),
                (rows, height, width),
                "bool",
                # Eight masks' worth of equal bits a byte: about a hundredth of the plain size.
                BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
            )
            for name in self.features
        }
        areas = {name: np.full(n, np.nan) for name in self.features}
        counts = {name: np.full(n, np.nan) for name in self.features}
        problems: list[MaskProblem] = []
        outside: Counter[str] = Counter()
        buffer = np.zeros((len(self.features), rows, height, width), dtype=bool)
        for row, (masks, found, cut) in enumerate(prefetch(self._read, range(n), workers)):
            place = row % rows
            for name, mask in masks.items():
                buffer[self.features.index(name), place] = mask
                areas[name][row] = mask.mean()
                counts[name][row] = cv2.connectedComponents(mask.view(np.uint8))[0] - 1
            problems += found
            outside.update(cut)
            if place == rows - 1 or row == n - 1:
                for name, chunk in zip(self.features, buffer, strict=True):
                    arrays[name][row - place : row + 1] = chunk[: place + 1]
                buffer[:] = False
                if progress is not None:
                    progress(row + 1, n)
        return areas, counts, problems, outside

    def _read(self, row: int) -> tuple[dict[str, NDArray[np.bool_]], list[MaskProblem], list[str]]:
        image = self.known[row]
        masks: dict[str, NDArray[np.bool_]] = {}
        problems: list[MaskProblem] = []
        cut: list[str] = []
        if image is None:
            return masks, problems, cut
        size = self._sizes[row]
        view = self.run.preprocessing.view(*size)
        everywhere = replace(view, box=(0.0, 0.0, float(size[0]), float(size[1])))
        for name in self.features:
            try:
                whole = self.annotations.mask(image.id, name, size)
            except (AnnotationError, ImageError) as err:
                file = str(self.run.predictions["file"].iloc[row])
                problems.append(MaskProblem(image.id, file, str(err)))
                continue
            if whole is None:
                continue
            masks[name] = sample_mask(whole, view, size)
            if self.run.preprocessing.mode == "crop" and not masks[name].any():
                cut += [name] if sample_mask(whole, everywhere, size).any() else []
        return masks, problems, cut

    @cached_property
    def _sizes(self) -> list[tuple[int, int]]:
        sizes = self.run.predictions[["width", "height"]].to_numpy()
        return [(int(w), int(h)) for w, h in sizes]


def write_problems(run: RunFolder, problems: list[MaskProblem]) -> None:
    """Put the problems into errors.csv in place of those of an earlier call.

    Args:
        run: whose errors.csv it is.
        problems: masks that could not be used.
    """
    new = pd.DataFrame(
        [{"file": f.file, "stage": "mask", "error": f.error} for f in problems],
        columns=["file", "stage", "error"],
    )
    if run.has_table("errors"):
        old = run.table("errors")
        new = pd.concat([old[old["stage"] != "mask"], new], ignore_index=True)
    run.write_table("errors", new)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a scratch folder that takes the place of `path` if the block succeeds.

    Args:
        path: of the folder.
    """
    scratch = path.with_name(f".{path.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    with writing_to(path):
        try:
            yield scratch
            shutil.rmtree(path, ignore_errors=True)
            scratch.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
