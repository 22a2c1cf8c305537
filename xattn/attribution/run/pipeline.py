"""`explain`: every image through the model once, predictions and maps into a run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.attribution.passes.engines.choose import AUTO, NONE, Wanted, require_engine
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.passes.relevance import Conservation, pool
from xattn.attribution.run.arithmetic import (
    describe_precision,
    precision_notes,
    require_known,
    require_precision,
)
from xattn.attribution.run.asked import (
    as_annotations,
    choose_methods,
    labels_of,
    require_own_folder,
)
from xattn.attribution.run.batch import Worker
from xattn.attribution.run.in_splits import in_splits, require_splits
from xattn.attribution.run.map_layers import record_places
from xattn.attribution.run.memory import Fitting
from xattn.attribution.run.plan import make_plan
from xattn.attribution.run.provenance import (
    call_of,
    describe_ensemble,
    describe_run,
    relative_checkpoint,
)
from xattn.attribution.run.resume import as_before, stored_settings, what_to_do
from xattn.attribution.run.settings import (
    Accelerate,
    ExplainSettings,
    Overlay,
)
from xattn.attribution.run.shards import Shard, describe_job
from xattn.attribution.run.sources import (
    Source,
    list_images,
    name_images,
)
from xattn.attribution.run.stream import batched, committed_later, read_one, require_added
from xattn.errors import Remark, UsageError
from xattn.images.prefetch import prefetch
from xattn.models.averaging import Ensemble
from xattn.models.interface import Model
from xattn.paths import as_path, as_paths, kind_of
from xattn.runs.depth import lost_depth
from xattn.runs.folder import DEFAULT_RUN, RunFolder
from xattn.runs.guard import writes
from xattn.runs.inputs import Stamp
from xattn.runs.places import recorded_cells
from xattn.runs.writer import RunWriter
from xattn.settings import names
from xattn.settings.precision import FULL, Precision
from xattn.splits.membership import membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations


KEPT = ("exact", "precision", "compiled", "overlay")
"""Settings that run.json has by their own names."""


@writes("out", "xattn explain")
def explain(
    model: Model,
    images: Source | None = None,
    *,
    methods: str | Sequence[str] | None = ExplainSettings.methods,
    out: str | Path = DEFAULT_RUN,
    target: str | int | Sequence[str | int] | None = ExplainSettings.target,
    annotations: Annotations | str | Path | None = None,
    split: str | Sequence[str] | None = ExplainSettings.split,
    shard: str | None = ExplainSettings.shard,
    batch_size: int = ExplainSettings.batch_size,
    workers: int | None = ExplainSettings.workers,
    overlay: Overlay | None = ExplainSettings.overlay,
    exact: bool | None = ExplainSettings.exact,
    accelerate: Accelerate = ExplainSettings.accelerate,
    precision: Precision | None = ExplainSettings.precision,
    compiled: bool = ExplainSettings.compiled,
    settings: ExplainSettings | None = None,
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
            attention for models that have attention layers; "none", or an empty list, gives the
            predictions alone. One that makes no sense for the model is left out, and run.json
            says why.
        out: the run folder.
        target: the class to explain: "predicted" (the default), "label" (needs `annotations`), a
            class's name or its index; "all" for each class, the default where outputs are
            independent; or several of these. They share the forward pass; maps of the first are
            stored as `METHOD`, of others as `METHOD@TARGET`.
        annotations: gives the labels, and the ids of its images.
        split: only images of these splits of the checkpoint's training ("test", "ood", ...), by
            the splits.csv beside it; default all.
        shard: only one of several parts of the images, "1/4" to "4/4", each of whole batches; the
            same images and batch size in each call. `merge` puts the folders of all together.
        batch_size: images per forward pass.
        workers: threads for decoding and for overlays, each; default one per core, at most 4.
        overlay: format of the overlays, "none" for no overlays.
        exact: run the model itself instead of a faster private copy (equal to 1e-4), and decode
            far larger JPEGs in full instead of at a reduced scale (within a few grey levels).
        accelerate: engine of the layers before the explained one (equal to 1e-4, which is tried on
            a batch first): "auto" takes the one that is installed (`xattn[fast]`) where it saves
            more time than compiling takes, "torch" a folded copy, "openvino", "compile"
            (torch.compile), "none" the model itself. run.json says which it was, and why.
        precision: what the layers up to the explained one compute in: "32" for float32, "bf16" or
            "16" by torch's autocast or the engine; docs/precision.md measures what it changes in
            predictions and maps. All after the layer is float32, and so are methods that
            differentiate the network itself as a whole. Where results of a probing batch are not
            alike, float32 is taken, and run.json says why. None, here and for `exact` and
            `overlay`, takes what the run that is there was made with.
        compiled: torch.compile the layers before the explained one, on CUDA alone.
        settings: `methods`, `target`, `split`, `shard`, `batch_size`, `workers`, `overlay`,
            `exact`, `accelerate`, `precision` and `compiled` as a whole, instead of one by one.
        progress: called with (images done, images in all).
        on_note: called with each remark on files that were left out or lost some of their depth.
        on_change: called with each remark on what a run that was there lacked or had otherwise.

    Returns:
        The run folder: `predictions`, one row per image; `maps(method)`, float32 (n, h, w) at the
        resolution of the method's layer, unnormalised; the CAM family in units of the logit.

    Raises:
        UsageError: a name is unknown, or options do not go together.
        MethodError: no method of those makes sense for the model.
        RunError: the folder holds a run of other settings, a map cannot be added to an image, or
            not one image could be done.
        XattnError: there is no image.

    Examples:
        >>> model = xattn.load("model.pt")
        >>> run = xattn.explain(model, "images/", methods=["gradcam"], out="run")
        >>> run.maps("gradcam").shape
        (12, 4, 5)
    """
    chosen = ExplainSettings.of(
        settings, methods=methods, target=target, split=split, shard=shard, overlay=overlay,
        exact=exact, accelerate=accelerate, precision=precision, compiled=compiled,
        batch_size=batch_size, workers=workers,
    )  # fmt: skip
    return run_explain(
        model, images, annotations, as_path(out, "a run folder"), chosen, progress=progress,
        on_note=on_note, on_change=on_change,
    )  # fmt: skip


def run_explain(
    model: Model,
    images: Source | None,
    annotations: Annotations | str | Path | None,
    out: Path,
    settings: ExplainSettings,
    *,
    call: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_change: Callable[[str], None] | None = None,
) -> RunFolder:
    """Do what `explain` does, for it or as part of another command.

    Args:
        model, images, annotations, out, progress, on_note, on_change: as for `explain`.
        settings: all others of `explain`.
        call: record of the command that this is a part of; default one of `xattn explain`.
    """
    began = time.perf_counter()
    if not isinstance(model, Model):
        raise UsageError(
            f"Expected a model of xattn.load or xattn.wrap, but got {kind_of(model)}; such as "
            "xattn.wrap(network, classes=[...])"
        )
    old = stored_settings(out)
    require_known(old)
    settings = as_before(settings, old)
    overlay, exact = str(settings.overlay), bool(settings.exact)
    batch_size, workers = settings.batch_size, settings.workers
    known = as_annotations(annotations)
    sources = None if images is None else as_paths(images, "images", "; write it to a file first")
    require_own_folder(out, sources)
    files = list_images(sources, known, on_note)
    labels = labels_of(model, known) if known else {}
    wanted = names(settings.target) or ["predicted" if model.outputs.exclusive else "all"]
    asked = [*choose_methods(model, settings.methods), *old.get("methods", [])]
    by_default = settings.methods is None and not model.attention_layers
    if on_note is not None and by_default and (unread := model.unread_in_words()):
        on_note(Remark(f"without attention: no reader for {unread}"))
    plan = make_plan(model, asked, wanted, labels)
    member, splits = membership(model.source), names(settings.split)
    require_splits(member, splits)
    require_engine(settings.accelerate)
    require_precision(model, settings)

    record = describe_run(model, list(plan.jobs), wanted[0], batch_size)
    record["targets"] = [t.name for t in plan.targets]
    record["left_out"] = plan.left_out
    record |= record_places(model, plan)
    record |= {name: getattr(settings, name) for name in KEPT}
    if isinstance(model, Ensemble):
        record["ensemble"] = describe_ensemble(model, out, plan.jobs)
    else:
        record["checkpoint_file"] = relative_checkpoint(model, out)
    record["calls"] = [dict(call or call_of(model, sources, known, out, settings))]
    if settings.shard is not None:
        record["calls"][0]["shard_of"] = describe_job([file.id for file in files])
    writer = RunWriter.start(out, record, ExplainSettings.identity())
    every = list(name_images(files, out, writer.ids_done))
    named = whole = in_splits(every, member, splits, on_note)
    if settings.shard is not None:
        named = Shard.read(settings.shard).take(whole, batch_size)
    by_label = any(t.name == "label" for t in plan.targets)
    todo = what_to_do(writer, named, labels, by_label=by_label, old=old)
    for note in todo.notes:
        if on_change is not None:
            on_change(note)
    threads = min(4, os.cpu_count() or 1) if workers is None else workers
    total = max(len(named), todo.n)
    done = total - todo.n
    if progress:
        progress(done, total)
    # Made for this run alone: a model may be trained on between two calls.
    engine = model
    if todo.n and not exact:
        # Shards take the engine that all images together would have.
        n = todo.n if settings.shard is None else len(whole)
        how = Wanted(settings.accelerate, n, batch_size, str(settings.precision))
        engine = make_fast_copy(model, compiled=settings.compiled, wanted=how)
        if on_note is not None and engine.engine_note and settings.accelerate != AUTO:
            on_note(Remark(f"--accelerate {settings.accelerate} not taken: {engine.engine_note}"))
        if on_note is not None:
            for note in precision_notes(model, engine, plan.jobs, settings):
                on_note(note)
    recorded = {name: recorded_cells(writer.settings, name) for name in plan.jobs}
    places = {name: cells for name, cells in recorded.items() if cells is not None}
    stamps: dict[str, Stamp] = {}
    fitting = Fitting()
    reading = partial(read_one, stamps, preprocessing=model.preprocessing, exact=exact)
    jobs = [(plan.only(writer.settings["methods"]), todo.whole, False)]
    jobs += [(plan.only(lacking), some, True) for lacking, some in todo.adding.items()]
    conserved = {name: Conservation(**one) for name, one in old.get("conserved", {}).items()}
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="overlay") as painters:
        for part, some, adds in jobs:
            check = partial(require_added, writer) if adds else None
            worker = Worker(engine, part, places, labels, member, out, overlay, check, fitting)
            decoded = prefetch(reading, some, threads, ahead=3 * batch_size)
            for batch in committed_later(worker, batched(decoded, batch_size), painters):
                own = {row["file"]: stamps[row["file"]] for row in batch.rows}
                writer.commit(batch.rows, batch.maps, batch.errors, own, adds)
                done += batch.size
                if progress:
                    progress(done, total)
            pool(conserved, worker.conserved)
    seconds = time.perf_counter() - began
    ran = {"engine": engine.engine or NONE, "engine_note": engine.engine_note} if todo.n else {}
    if todo.n and settings.precision != FULL:
        ran |= describe_precision(engine, plan.jobs, old)
    run = writer.finish(
        **ran,
        **({"fitted": fitting.most} if fitting.most else {}),
        timings={"explain_seconds": round(seconds, 3), "images": todo.n},
        conserved={name: asdict(one) for name, one in conserved.items()},
    )
    for said in (fitting.note and Remark(fitting.note), lost_depth(run.predictions)):
        if on_note is not None and said:
            on_note(said)
    return run
