"""`explain`: every image through the model once, predictions and maps into a run folder."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xattn.errors import UsageError, near
from xattn.explain.batch import ENDINGS, Batch, Worker
from xattn.explain.engine import make_engine
from xattn.explain.places import record_places
from xattn.explain.plan import make_plan
from xattn.explain.provenance import describe_run, relative_checkpoint
from xattn.explain.sources import Failure, Picture, Source, decode, list_images, name_images
from xattn.images.prefetch import prefetch
from xattn.models.interface import Model
from xattn.runs.folder import DEFAULT_RUN, RunFolder
from xattn.runs.guard import writes
from xattn.runs.places import recorded_cells
from xattn.runs.writer import RunWriter
from xattn.training.membership import membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@writes("out", "xattn explain")
def explain(
    model: Model,
    images: Source | None = None,
    *,
    methods: Sequence[str] | None = None,
    out: str | Path = DEFAULT_RUN,
    target: str | Sequence[str] = "predicted",
    annotations: Annotations | str | Path | None = None,
    batch_size: int = 16,
    workers: int | None = None,
    overlay: Literal["png", "jpeg", "none"] = "png",
    exact: bool = False,
    amp: bool = False,
    compiled: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> RunFolder:
    """Predict and explain images, into a run folder.

    Decoding and overlays run in threads beside the model. An image that cannot be read becomes a
    line of errors.csv; the others go on. Called again on the same folder it goes on where it was
    stopped; images that are new are added. Where the checkpoint's own splits.csv lies beside it,
    a column says which part an image had in the training.

    Args:
        model: from `xattn.load` or `xattn.wrap`; comes back as it was.
        images: a directory (recursive), a glob, a file, a `.txt` list, or several of these;
            default is the images of `annotations`.
        methods: names, see `xattn models --methods`, or `METHOD@TARGET`; default gradcam, and
            attention for models that have attention layers; an empty list gives the predictions
            alone. One that makes no sense for the model is left out, and run.json says why.
        out: the run folder.
        target: the class to explain: "predicted", "label" (needs `annotations`), a class's name
            or its index; "all" for each class; or several of these. They share the forward pass;
            maps of the first are stored as `METHOD`, of others as `METHOD@TARGET`.
        annotations: gives the labels, and the ids of its images.
        batch_size: images per forward pass.
        workers: threads for decoding and for overlays, each; default one per core, at most 4.
        overlay: format of the pictures, "none" for no pictures.
        exact: run the model itself instead of a faster private copy (equal to 1e-4), and decode
            far larger JPEGs in full instead of at a reduced scale (within a few grey levels).
        amp: half precision where torch deems it safe, on CUDA alone (equal to about 1e-2).
        compiled: torch.compile the layers before the explained one, on CUDA alone.
        progress: called with (images done, images in all).
        on_note: called with each remark on files that were left out.

    Raises:
        UsageError: a name is unknown, or options do not go together.
        MethodError: no method of those makes sense for the model.
        RunError: the folder holds a run of other settings, or not one image could be done.
        XattnError: there is no image.
    """
    began = time.perf_counter()
    if overlay not in ENDINGS:
        raise UsageError(f"Unknown overlay {overlay!r}{near(overlay, ENDINGS)}")
    if batch_size < 1:
        raise UsageError(f"Expected a batch_size of at least 1, but got {batch_size}")
    known = _read_annotations(annotations)
    files = list_images(images, known, on_note)
    labels = {i.id: i.label for i in known.images} if known else {}
    wanted = [target] if isinstance(target, str) else list(target)
    plan = make_plan(model, _choose_methods(model, methods), wanted, labels)

    out = Path(out)
    settings = describe_run(model, list(plan.jobs), wanted[0], batch_size)
    settings["targets"] = [t.name for t in plan.targets]
    settings["left_out"] = plan.left_out
    settings |= record_places(model, plan)
    settings["exact"], settings["amp"], settings["compiled"] = exact, amp, compiled
    settings["checkpoint_file"] = relative_checkpoint(model, out)
    writer = RunWriter.start(out, settings)
    threads = min(4, os.cpu_count() or 1) if workers is None else workers
    named = name_images(files, out, writer.ids_done)
    todo = [one for one in named if one.file not in writer.files_done]
    total = len(files)
    done = total - len(todo)
    if progress:
        progress(done, total)
    # Made for this run alone: a model may be trained on between two calls.
    engine = make_engine(model, amp=amp, compiled=compiled) if todo and not exact else model
    recorded = {name: recorded_cells(writer.settings, name) for name in plan.jobs}
    places = {name: cells for name, cells in recorded.items() if cells is not None}
    worker = Worker(engine, plan, places, labels, membership(model.source), out, overlay)
    reading = partial(decode, preprocessing=model.preprocessing, exact=exact)
    decoded = prefetch(reading, todo, threads, ahead=3 * batch_size)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="overlay") as painters:
        for batch in _committed_later(worker, _batched(decoded, batch_size), painters):
            writer.commit(batch.rows, batch.maps, batch.errors)
            done += batch.size
            if progress:
                progress(done, total)
    seconds = time.perf_counter() - began
    return writer.finish(timings={"explain_seconds": round(seconds, 3), "images": len(todo)})


def _choose_methods(model: Model, names: Sequence[str] | None) -> Sequence[str]:
    if names is not None:
        return names
    return ["gradcam", "attention"] if model.attention_layers else ["gradcam"]


def _read_annotations(annotations: Annotations | str | Path | None) -> Annotations | None:
    if annotations is None or not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)


def _batched(pictures: Iterable[Picture | Failure], size: int) -> Iterator[list[Picture | Failure]]:
    """Cut by files asked for, not by files that worked: a batch keeps its members on a retry."""
    iterator = iter(pictures)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _committed_later(
    worker: Worker, batches: Iterable[list[Picture | Failure]], painters: ThreadPoolExecutor
) -> Iterator[Batch]:
    """Yield each batch once its pictures are written, while the model is at the next one."""
    waiting: Batch | None = None
    for pictures in batches:
        batch = worker.run(pictures, painters)
        if waiting is not None:
            yield _painted(waiting)
        waiting = batch
    if waiting is not None:
        yield _painted(waiting)


def _painted(batch: Batch) -> Batch:
    for painting in batch.paintings:
        painting.result()
    return batch
