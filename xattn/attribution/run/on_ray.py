"""`explain` on a Ray cluster: shards by workers that each hold the model once, then one run.

Workers write into the run's own folder, which all machines of the cluster must see. A worker that
dies is started again, and its shard gone on with; a call that was stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.addresses.scratch import refuse
from xattn.attribution.run.asked import as_annotations
from xattn.attribution.run.in_splits import in_splits, require_splits
from xattn.attribution.run.merge import merge
from xattn.attribution.run.pipeline import run_explain
from xattn.attribution.run.provenance import call_of
from xattn.attribution.run.settings import ExplainSettings
from xattn.attribution.run.sources import Source, list_images, name_images
from xattn.cluster.connect import connected, require_ray
from xattn.cluster.models import Sent, received, to_send
from xattn.cluster.workers import Workers, workers_of
from xattn.errors import RunError, UsageError, XattnError, one_line
from xattn.models.interface import Model
from xattn.paths import as_path, as_paths
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record, write_json
from xattn.runs.depth import lost_depth
from xattn.runs.guard import writes
from xattn.settings import names
from xattn.settings.cluster import RaySettings
from xattn.splits.membership import membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations

PARTS = ".shards"
"""Folder in the run's own, of the shards while they are made."""
_SHARDS_EACH = 16
"""Per worker: of fewer the slowest keeps the others waiting, see docs/scale.md."""


@writes("out", "xattn explain")
def explain_on_ray(
    model: Model,
    images: Source | None,
    annotations: Annotations | str | Path | None,
    out: str | Path,
    settings: ExplainSettings,
    ray_settings: RaySettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> RunFolder:
    """Do what `explain` does on a Ray cluster, with the same tables and maps.

    Args:
        model, images, annotations, out, settings, progress, on_note: as for `explain`; the folder
            may hold no run but one that this function was stopped at.
        ray_settings: which cluster, and how many workers.

    Raises:
        UsageError: Ray is not installed, or options do not go together.
        RunError: the folder holds a run, the cluster cannot be reached, or a worker died too often.
        XattnError: as `explain`.
    """
    how = ray_settings or RaySettings()
    folder = as_path(out, "a run folder")
    parts = folder / PARTS
    require_ray()
    if settings.shard is not None:
        raise UsageError("Expected --shard or --engine ray, but got both; leave one out")
    known = as_annotations(annotations)
    sources = None if images is None else as_paths(images, "images")
    file = None if known is None else known.path
    refuse("--engine ray", folder, *(sources or ()), file, model.source.get("path"))
    call = call_of(model, sources, known, folder, settings)
    if not makes_run(folder):
        if read_record(folder / "run.json").get("calls") == [call]:  # all is done
            return RunFolder.open(folder)
        raise RunError(
            f"Expected a folder without a run for --engine ray, but got {out}; name another with "
            "--out, or add to it without --engine"
        )
    total = _count(model, sources, known, folder, settings, on_note)
    if not (folder / "run.json").is_file():
        job = {"images": sources, "annotations": known, "folder": str(parts),
               "settings": settings}  # fmt: skip
        with connected(how.address) as ray:
            _run(ray, model, job, total, how, progress)
        found = sorted(part for part in parts.iterdir() if (part / "run.json").is_file())
        merge(found, folder)
    _finish(folder, call)
    shutil.rmtree(parts)
    run = RunFolder.open(folder)
    if on_note is not None and (lost := lost_depth(run.predictions)):
        on_note(lost)
    return run


def makes_run(folder: Path) -> bool:
    """Say whether a folder is one that `explain_on_ray` takes, and not a run to be added to.

    Args:
        folder: of a run that is there or to come.
    """
    return (folder / PARTS).is_dir() or not (folder / "run.json").is_file()


def _count(
    model: Model,
    sources: Sequence[str] | None,
    known: Annotations | None,
    folder: Path,
    settings: ExplainSettings,
    on_note: Callable[[str], None] | None,
) -> int:
    """Return the number of images of all shards."""
    member, splits = membership(model.source), names(settings.split)
    require_splits(member, splits)
    files = list_images(sources, known, on_note)
    return len(in_splits(list(name_images(files, folder, {})), member, splits, on_note))


def _run(
    ray: Any,
    model: Model,
    job: Mapping[str, Any],
    total: int,
    how: RaySettings,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Have all shards explained; each worker has one at a time, and takes the next when done."""
    gpu = model.device.type == "cuda"
    most = workers_of(ray, how, gpu=gpu)
    batches = -(-total // job["settings"].batch_size)
    n = _shards_there(Path(job["folder"])) or min(batches, most * _SHARDS_EACH)
    waiting = [f"{i}/{n}" for i in range(n, 0, -1)]
    done, problems = 0, []
    with Workers(ray, _explaining, [to_send(model), job], min(most, n), gpu=gpu) as workers:
        while waiting or workers.busy:
            while waiting and workers.free:
                workers.hand_out(waiting.pop())
            if (ended := workers.wait()) is None:
                continue
            images, problem = ended.result or (0, "")
            if ended.error is not None:
                own = isinstance(ended.error, XattnError)
                problem = str(ended.error) if own else f"got: {one_line(ended.error)[:200]}"
            problems += [f"shard {ended.job}: {problem}"] if problem else []
            done += images
            if progress is not None:
                progress(done, total)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise RunError(
            f"Expected all {n} shards to end, but {problems[0]}{more}; what is done is kept, "
            "repeat the command to go on"
        )


def _explaining(sent: Sent, job: Mapping[str, Any]) -> Callable[[str], tuple[int, str]]:
    """Return what explains shards, one after the other, with one model; made on a worker."""
    model, settings = received(sent), job["settings"]
    threads = 1 if settings.workers is None else settings.workers

    def explain(shard: str) -> tuple[int, str]:
        """Return how many images were done with, and what went wrong or ""."""
        out = Path(job["folder"]) / shard.replace("/", "-of-")
        own = settings.with_values(shard=shard, workers=threads)
        try:
            run = run_explain(model, job["images"], job["annotations"], out, own)
        except XattnError as err:
            # Where not one image could be done, the merged run has their lines.
            no_rows = not (out / "predictions.parquet").is_file()
            return 0, "" if no_rows and (out / "errors.csv").is_file() else str(err)
        return int(run.settings["counts"]["images"]), ""

    return explain


def _shards_there(folder: Path) -> int:
    """Return how many shards a call that was stopped had cut; 0 if there are none."""
    found = {int(part.name.rpartition("-of-")[2]) for part in folder.glob("*-of-*")}
    return min(found) if found else 0


def _finish(folder: Path, call: Mapping[str, Any]) -> None:
    """Let the merged run say that one call made it."""
    record = read_record(folder / "run.json")
    record.pop("merged_from", None)
    write_json(folder / "run.json", {**record, "calls": [dict(call)]})
