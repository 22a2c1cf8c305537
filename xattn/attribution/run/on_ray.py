"""`explain` on a Ray cluster: shards by workers that each hold the model once, then one run.

Workers write into the run's own folder, which all machines of the cluster must see. A worker that
dies is started again, and its shard gone on with; a call that was stopped goes on where it was.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.addresses.scratch import refuse
from xattn.attribution.run.asked import as_annotations
from xattn.attribution.run.in_splits import in_splits, require_splits
from xattn.attribution.run.merge import merge
from xattn.attribution.run.pipeline import run_explain
from xattn.attribution.run.provenance import call_of
from xattn.attribution.run.settings import ExplainSettings, RaySettings
from xattn.attribution.run.sources import Source, list_images, name_images
from xattn.errors import RunError, UsageError, XattnError, one_line
from xattn.models.averaging import Ensemble
from xattn.models.interface import Model
from xattn.paths import as_path, as_paths
from xattn.plugins import load_file, loaded_files
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record, write_json
from xattn.runs.depth import lost_depth
from xattn.runs.guard import writes
from xattn.settings import names
from xattn.splits.membership import membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations

PARTS = ".shards"
"""Folder in the run's own, of the shards while they are made."""
_SHARDS_EACH = 16
"""Per worker: of fewer the slowest keeps the others waiting, see docs/scale.md."""
_TRIES = 3
"""So often a shard whose worker dies is gone on with."""


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
    if find_spec("ray") is None:
        raise UsageError("Expected Ray for --engine ray; pip install 'xattn[ray]'")
    if settings.shard is not None:
        raise UsageError("Expected --shard or --engine ray, but got both; leave one out")
    known = as_annotations(annotations)
    sources = None if images is None else as_paths(images, "images")
    file = None if known is None else known.path
    refuse("--engine ray", folder, *(sources or ()), file, model.source.get("path"))
    call = call_of(model, sources, known, folder, settings)
    if (folder / "run.json").is_file() and not parts.is_dir():
        if read_record(folder / "run.json").get("calls") == [call]:  # all is done
            return RunFolder.open(folder)
        raise RunError(
            f"Expected a folder without a run for --engine ray, but got {out}; name another with "
            "--out, or add to it without --engine"
        )
    total = _count(model, sources, known, folder, settings, on_note)
    if not (folder / "run.json").is_file():
        job = {"images": sources, "annotations": known, "folder": str(parts),
               "settings": settings, "here": str(Path.cwd())}  # fmt: skip
        with _cluster(how.address) as ray:
            _run(ray, model, job, total, how, progress)
        found = sorted(part for part in parts.iterdir() if (part / "run.json").is_file())
        merge(found, folder)
    _finish(folder, call)
    shutil.rmtree(parts)
    run = RunFolder.open(folder)
    if on_note is not None and (lost := lost_depth(run.predictions)):
        on_note(lost)
    return run


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
    workers = how.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    batches = -(-total // job["settings"].batch_size)
    n = _shards_there(Path(job["folder"])) or min(batches, workers * _SHARDS_EACH)
    needs = {"num_cpus": 1, "num_gpus": 1 if model.device.type == "cuda" else 0}
    kind = ray.remote(**needs, max_restarts=-1, max_task_retries=_TRIES)(_Worker)
    # Held here until the end: a worker that is started again takes it once more.
    given = ray.put((_recipe(model), list(map(str, loaded_files())), dict(job)))
    waiting = [f"{i}/{n}" for i in range(n, 0, -1)]
    idle = [kind.remote(given) for _ in range(min(workers, n))]
    busy: dict[Any, tuple[Any, str]] = {}
    done, problems = 0, []
    while waiting or busy:
        while waiting and idle:
            actor, shard = idle.pop(), waiting.pop()
            busy[actor.explain.remote(shard)] = actor, shard
        (ready, *_), _ = ray.wait(list(busy), num_returns=1)
        actor, shard = busy.pop(ready)
        try:
            ended, problem = ray.get(ready)
        except ray.exceptions.RayTaskError as err:
            ended, problem = 0, f"got: {one_line(err.cause)[:200]}"
        except ray.exceptions.RayError as err:
            ended, problem = 0, f"its worker died {_TRIES + 1} times ({one_line(err)[:200]})"
            actor = kind.remote(given)
        idle.append(actor)
        problems += [f"shard {shard}: {problem}"] if problem else []
        done += ended
        if progress is not None:
            progress(done, total)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise RunError(
            f"Expected all {n} shards to end, but {problems[0]}{more}; what is done is kept, "
            "repeat the command to go on"
        )


class _Worker:
    """Explains shards, one after the other, with one model; an actor of Ray."""

    def __init__(self, given: tuple[Any, Sequence[str], dict[str, Any]]) -> None:
        recipe, plugins, self.job = given
        os.chdir(self.job["here"])  # names in tables and messages are as they were typed
        for file in plugins:
            load_file(file)
        self.model = recipe if isinstance(recipe, Model) else _load(*recipe)

    def explain(self, shard: str) -> tuple[int, str]:
        """Return how many images were done with, and what went wrong or ""."""
        job, settings = self.job, self.job["settings"]
        workers = 1 if settings.workers is None else settings.workers
        out = Path(job["folder"]) / shard.replace("/", "-of-")
        own = settings.with_values(shard=shard, workers=workers)
        try:
            run = run_explain(self.model, job["images"], job["annotations"], out, own)
        except XattnError as err:
            # Where not one image could be done, the merged run has their lines.
            no_rows = not (out / "predictions.parquet").is_file()
            return 0, "" if no_rows and (out / "errors.csv").is_file() else str(err)
        return int(run.settings["counts"]["images"]), ""


def _shards_there(folder: Path) -> int:
    """Return how many shards a call that was stopped had cut; 0 if there are none."""
    found = {int(part.name.rpartition("-of-")[2]) for part in folder.glob("*-of-*")}
    return min(found) if found else 0


def _recipe(model: Model) -> Model | tuple[str, dict[str, Any]]:
    """Return how a worker gets the model: from its file, else the model itself."""
    path, asked = model.source.get("path"), model.source.get("asked")
    same = model.preprocessing == model.source.get("preprocessing")
    if path is None or asked is None or asked.unsaid() or isinstance(model, Ensemble) or not same:
        return model
    return str(Path(path).absolute()), dict(vars(asked))


def _load(path: str, asked: dict[str, Any]) -> Model:
    from xattn.models import load

    return load(path, **asked)


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Yield Ray, connected; one that is started here ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report its use to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # warns of what is done on purpose
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _signals_kept():
            if address is None:
                ray.init(include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as err:
        where = f"at {address}" if address else "on this machine"
        raise RunError(f"Expected a Ray cluster {where}, but got: {one_line(err)}") from err
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Give SIGTERM back to whoever had it: Ray takes it when it connects, and keeps it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # Another thread than the main one may set none, and Ray does not there.
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def _finish(folder: Path, call: Mapping[str, Any]) -> None:
    """Let the merged run say that one call made it."""
    record = read_record(folder / "run.json")
    record.pop("merged_from", None)
    write_json(folder / "run.json", {**record, "calls": [dict(call)]})
