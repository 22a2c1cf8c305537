"""`explain`: every image through the model once, predictions and maps into a run folder."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.run.batch import ENDINGS, Batch, Worker
from xattn.attribution.run.map_layers import record_places
from xattn.attribution.run.plan import make_plan
from xattn.attribution.run.provenance import describe_run, relative_checkpoint
from xattn.attribution.run.resume import require_same_predictions, stored_settings, what_to_do
from xattn.attribution.run.sources import (
    Failure,
    Named,
    Picture,
    Source,
    decode,
    list_images,
    name_images,
)
from xattn.errors import RunError, UsageError, near
from xattn.images.prefetch import prefetch
from xattn.images.preprocessing import Preprocessing
from xattn.models.interface import Model
from xattn.paths import as_path, kind_of
from xattn.runs.folder import DEFAULT_RUN, RunFolder
from xattn.runs.guard import writes
from xattn.runs.inputs import Stamp
from xattn.runs.places import recorded_cells
from xattn.runs.writer import RunWriter
from xattn.splits.membership import membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@writes("out", "xattn explain")
def explain(
    model: Model,
    images: Source | None = None,
    *,
    methods: str | Sequence[str] | None = None,
    out: str | Path = DEFAULT_RUN,
    target: str | int | Sequence[str | int] | None = None,
    annotations: Annotations | str | Path | None = None,
    batch_size: int = 16,
    workers: int | None = None,
    overlay: Literal["png", "jpeg", "none"] | None = "png",
    exact: bool | None = False,
    amp: bool | None = False,
    compiled: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_change: Callable[[str], None] | None = None,
) -> RunFolder:
    """Predict and explain images, into a run folder.

    Decoding and overlays run in threads beside the model. An image that cannot be read becomes a
    line of errors.csv; the others go on. Called again on the same folder it goes on where it was
    stopped; images and methods that are new are added, labels that came later are filled in, and
    images that were replaced under the same name are done again. Where the checkpoint's own
    splits.csv lies beside it, a column says which part an image had in the training.

    Args:
        model: from `xattn.load` or `xattn.wrap`; comes back as it was.
        images: a directory (recursive), a glob, a file, a `.txt` list, or several of these;
            default is the images of `annotations`.
        methods: names, see `xattn models --methods`, or `METHOD@TARGET`; default gradcam, and
            attention for models that have attention layers; an empty list gives the predictions
            alone. One that makes no sense for the model is left out, and run.json says why.
        out: the run folder.
        target: the class to explain: "predicted" (the default), "label" (needs `annotations`), a
            class's name or its index; "all" for each class, the default where outputs are
            independent; or several of these. They share the forward pass; maps of the first are
            stored as `METHOD`, of others as `METHOD@TARGET`.
        annotations: gives the labels, and the ids of its images.
        batch_size: images per forward pass.
        workers: threads for decoding and for overlays, each; default one per core, at most 4.
        overlay: format of the pictures, "none" for no pictures.
        exact: run the model itself instead of a faster private copy (equal to 1e-4), and decode
            far larger JPEGs in full instead of at a reduced scale (within a few grey levels).
        amp: half precision where torch deems it safe, on CUDA alone (equal to about 1e-2). None,
            here and for `exact` and `overlay`, takes what the run that is there was made with.
        compiled: torch.compile the layers before the explained one, on CUDA alone.
        progress: called with (images done, images in all).
        on_note: called with each remark on files that were left out.
        on_change: called with each remark on what a run that was there lacked or had otherwise.

    Raises:
        UsageError: a name is unknown, or options do not go together.
        MethodError: no method of those makes sense for the model.
        RunError: the folder holds a run of other settings, a map cannot be added to an image, or
            not one image could be done.
        XattnError: there is no image.
    """
    began = time.perf_counter()
    if not isinstance(model, Model):
        raise UsageError(
            f"Expected a model of xattn.load or xattn.wrap, but got {kind_of(model)}; such as "
            "xattn.wrap(network, classes=[...])"
        )
    out = as_path(out, "a run folder")
    old = stored_settings(out)
    overlay = overlay or old.get("overlay", "png")
    exact = old.get("exact", False) if exact is None else exact
    amp = old.get("amp", False) if amp is None else amp
    if overlay not in ENDINGS:
        raise UsageError(f"Unknown overlay {overlay!r}{near(overlay, ENDINGS)}")
    if batch_size < 1:
        raise UsageError(f"Expected a batch_size of at least 1, but got {batch_size}")
    known = _read_annotations(annotations)
    files = list_images(images, known, on_note)
    labels = {i.id: i.label for i in known.images} if known else {}
    if target is None:
        target = "predicted" if model.outputs.exclusive else "all"
    wanted = [str(one) for one in ([target] if isinstance(target, str | int) else target)]
    names = [*_choose_methods(model, methods), *old.get("methods", [])]
    plan = make_plan(model, names, wanted, labels)

    settings = describe_run(model, list(plan.jobs), wanted[0], batch_size)
    settings["targets"] = [t.name for t in plan.targets]
    settings["left_out"] = plan.left_out
    settings |= record_places(model, plan)
    settings["exact"], settings["amp"], settings["compiled"] = exact, amp, compiled
    settings["overlay"] = overlay
    settings["checkpoint_file"] = relative_checkpoint(model, out)
    writer = RunWriter.start(out, settings)
    named = list(name_images(files, out, writer.ids_done))
    by_label = any(t.name == "label" for t in plan.targets)
    todo = what_to_do(writer, named, labels, by_label=by_label, old=old)
    for note in todo.notes:
        if on_change is not None:
            on_change(note)
    threads = min(4, os.cpu_count() or 1) if workers is None else workers
    total = max(len(files), todo.n)
    done = total - todo.n
    if progress:
        progress(done, total)
    # Made for this run alone: a model may be trained on between two calls.
    engine = make_fast_copy(model, amp=amp, compiled=compiled) if todo.n and not exact else model
    recorded = {name: recorded_cells(writer.settings, name) for name in plan.jobs}
    places = {name: cells for name, cells in recorded.items() if cells is not None}
    member = membership(model.source)
    stamps: dict[str, Stamp] = {}
    reading = partial(_read, stamps, preprocessing=model.preprocessing, exact=exact)
    jobs = [(plan.only(writer.settings["methods"]), todo.whole, False)]
    jobs += [(plan.only(lacking), some, True) for lacking, some in todo.adding.items()]
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="overlay") as painters:
        for part, some, adds in jobs:
            check = partial(_require_added, writer) if adds else None
            worker = Worker(engine, part, places, labels, member, out, overlay, check)
            decoded = prefetch(reading, some, threads, ahead=3 * batch_size)
            for batch in _committed_later(worker, _batched(decoded, batch_size), painters):
                own = {row["file"]: stamps[row["file"]] for row in batch.rows}
                writer.commit(batch.rows, batch.maps, batch.errors, own, adds)
                done += batch.size
                if progress:
                    progress(done, total)
    seconds = time.perf_counter() - began
    return writer.finish(timings={"explain_seconds": round(seconds, 3), "images": todo.n})


def _read(
    stamps: dict[str, Stamp], one: Named, *, preprocessing: Preprocessing, exact: bool
) -> Picture | Failure:
    """Decode an image, and put down what its file was."""
    if not one.problem:
        with suppress(OSError):  # decoding says what is wrong with it
            stamps[one.file] = Stamp.of(one.path)
    return decode(one, preprocessing, exact)


def _require_added(
    writer: RunWriter, rows: list[dict[str, Any]], errors: list[dict[str, str]]
) -> None:
    """Make sure that a batch adds maps to all of its images, and that these are what they were."""
    for error in errors:
        raise RunError(
            f"Expected {error['file']} to add its maps to {writer.path}, but got: {error['error']}"
            "; mend it, or name another folder with --out"
        )
    require_same_predictions(writer, rows)


def _choose_methods(model: Model, names: str | Sequence[str] | None) -> Sequence[str]:
    if names is not None:
        return [names] if isinstance(names, str) else names
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
