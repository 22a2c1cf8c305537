"""Files to batches, batches to what is committed: what runs beside the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from xattn.attribution.run.batch import Batch, Worker
from xattn.attribution.run.resume import require_same_predictions
from xattn.attribution.run.sources import DecodedImage, Failure, Named, decode
from xattn.errors import RunError
from xattn.images.preprocessing import Preprocessing
from xattn.runs.another_folder import another_folder
from xattn.runs.inputs import Stamp
from xattn.runs.writer import RunWriter


def read_one(
    stamps: dict[str, Stamp], one: Named, *, preprocessing: Preprocessing, exact: bool
) -> DecodedImage | Failure:
    """Decode an image, and record what its file was."""
    if not one.problem:
        with suppress(OSError):  # decoding says what is wrong with it
            stamps[one.file] = Stamp.of(one.path)
    return decode(one, preprocessing, exact)


def require_added(
    writer: RunWriter, rows: list[dict[str, Any]], errors: list[dict[str, str]]
) -> None:
    """Make sure that a batch adds maps to all of its images, and that these are what they were."""
    for error in errors:
        raise RunError(
            f"Expected {error['file']} to add its maps to {writer.path}, but got: {error['error']}"
            f"; mend it, or {another_folder()}"
        )
    require_same_predictions(writer, rows)


def batched(
    images: Iterable[DecodedImage | Failure], size: int
) -> Iterator[list[DecodedImage | Failure]]:
    """Cut by files asked for, not by files that worked: a batch keeps its members on a retry."""
    iterator = iter(images)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def committed_later(
    worker: Worker, batches: Iterable[list[DecodedImage | Failure]], painters: ThreadPoolExecutor
) -> Iterator[Batch]:
    """Yield each batch once its overlays are written, while the model is at the next one."""
    waiting: Batch | None = None
    for images in batches:
        batch = worker.run(images, painters)
        if waiting is not None:
            yield _painted(waiting)
        waiting = batch
    if waiting is not None:
        yield _painted(waiting)


def _painted(batch: Batch) -> Batch:
    for painting in batch.paintings:
        painting.result()
    return batch
