"""`merge`: run folders of one model, such as the shards of one job, put together into one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import zarr

from xattn.attribution.passes.relevance import Conservation, pool
from xattn.attribution.run.moved_records import moved_record
from xattn.attribution.run.parts import Part, in_order, require_alike
from xattn.disk import writing_to
from xattn.errors import Remark, RunError, UsageError
from xattn.paths import as_path, as_paths, relative_to
from xattn.runs.atomic import write_json
from xattn.runs.batches import Batch
from xattn.runs.folder import RunFolder
from xattn.runs.gather import Gathered, gather_rows
from xattn.runs.guard import reading, writes
from xattn.runs.identity import join_settings
from xattn.runs.inputs import read_stamps, write_stamps
from xattn.runs.parquet import write_parquet
from xattn.runs.pieces import write_rows
from xattn.runs.tables import records

_WRITTEN = ("maps.zarr", "overlays", "predictions.parquet", "inputs.parquet", "errors.csv")
"""What a merge writes before its record, and leaves if it is stopped."""


@writes("out", "xattn merge")
def merge(
    runs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    allow_missing: bool = False,
    on_note: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunFolder:
    """Put run folders of one model and other images together, such as those of `explain(shard=)`.

    Shards come in their order, other runs in the order given: the tables and maps of all shards
    are those of one run of all images, to the byte. Nothing is predicted or explained again.
    Feature usage and evaluations of the single folders are not taken over.

    Args:
        runs: the run folders.
        out: the merged one; it may not hold a run.
        allow_missing: merge shards of which some are missing.
        on_note: called with each remark.
        progress: called with (methods merged, methods in all).

    Returns:
        The merged run folder.

    Raises:
        UsageError: `out` is one of the runs.
        RunError: a folder holds no finished run, `out` holds one, the runs are of other settings
            (each is named), an image is in two of them, or a shard is missing.

    Examples:
        >>> model = xattn.load("model.pt")
        >>> for i in (1, 2):
        ...     _ = xattn.explain(model, "images/", shard=f"{i}/2", batch_size=4, out=f"part-{i}")
        >>> xattn.merge(["part-1", "part-2"], "whole").settings["counts"]["done"]
        12
    """
    folder = as_path(out, "a run folder")
    base = folder.absolute().parent
    parts = [Part(Path(path), base) for path in as_paths(runs, "run folders")]
    if not parts:
        raise UsageError("Expected run folders to merge, but got none")
    for i, part in enumerate(parts):
        if any(part.path.resolve() == other.path.resolve() for other in parts[:i]):
            raise UsageError(f"Expected each run once, but got {part.path} twice")
    if any(part.path.resolve() == folder.resolve() for part in parts):
        raise UsageError(f"Expected another folder to merge into, but {out} is one of the runs")
    if (folder / "run.json").is_file():
        raise RunError(
            f"Expected a folder without a run to merge into, but got {out}; delete it, or name "
            "another with --out"
        )
    if other := _foreign(folder):
        raise RunError(
            f"Expected an empty folder to merge into, but {out} holds {other}; name another with "
            "--out"
        )
    with reading(*(part.path for part in parts)):
        for part in parts:
            part.require_finished()
        notes = require_alike(parts)
        parts, missing = in_order(parts, allow_missing)
        notes += missing
        notes += [note for part in parts if (note := part.lost_files())]
        notes += [
            Remark(f"{part.path}: its {record} is not of all images and not taken over")
            for part in parts
            for record in records()
            if (part.path / record).is_file()
        ]
        merged = _write(parts, folder, progress)
    if on_note is not None:
        for note in notes:
            on_note(note)
    return merged


def _foreign(folder: Path) -> str:
    """Name something in a folder that no merge has left there; "" if there is nothing."""
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return next((name for name in names if name[:1] != "." and name not in _WRITTEN), "")


def _write(
    parts: Sequence[Part], folder: Path, progress: Callable[[int, int], None] | None
) -> RunFolder:
    settings = parts[0].settings
    rows = _gather(parts, settings["methods"]).rows
    if not len(rows):
        raise RunError("Expected images that could be done, but the runs have none")
    done = [part for part in parts if part.run is not None]
    methods = list(settings["methods"])
    shutil.rmtree(folder / "maps.zarr", ignore_errors=True)
    zarr.create_group(folder / "maps.zarr")
    for number, method in enumerate(methods, start=1):
        pieces = [part.maps(method) for part in done]
        write_rows(folder / "maps.zarr" / method, pieces, list(rows["file"]))
        _copy_overlays(done, folder, method)
        if progress is not None:
            progress(number, len(methods))
    write_parquet(rows, folder / "predictions.parquet")
    stamps = {
        part.renamed(file): stamp
        for part in parts
        for file, stamp in read_stamps(part.path / "inputs.parquet").items()
    }
    if stamps:
        write_stamps(folder / "inputs.parquet", stamps)
    errors = pd.concat([part.errors for part in parts]).drop_duplicates("file", keep="last")
    errors = errors[~errors["file"].isin(rows["file"])]
    RunFolder(folder).write_table("errors", errors)
    counts = {"images": len(rows) + len(errors), "done": len(rows), "skipped": len(errors)}
    # The record comes last: a folder without one is no run, and may be merged into again.
    write_json(folder / "run.json", _record(parts, folder) | {"counts": counts})
    return RunFolder.open(folder)


def _gather(parts: Sequence[Part], methods: Sequence[str]) -> Gathered:
    seen: dict[str, Path] = {}
    for part in parts:
        for id_ in part.rows["image_id"] if len(part.rows) else ():
            if id_ in seen:
                raise RunError(
                    f"Expected each image in one of the runs, but {id_!r} is in {seen[id_]} and "
                    f"{part.path}"
                )
            seen[id_] = part.path
    batches = [
        Batch(part.path, part.rows, tuple(methods), False, frozenset(), [], {}) for part in parts
    ]
    return gather_rows(None, batches, methods, {})


def _record(parts: Sequence[Part], folder: Path) -> dict[str, Any]:
    """Return run.json of all together, without its counts."""
    base = folder.absolute().parent
    record: dict[str, Any] = {}
    conserved: dict[str, Conservation] = {}
    timings: dict[str, float] = {"explain_seconds": 0.0, "images": 0}
    for part in parts:
        own = moved_record(part.settings, part.path.absolute().parent, base)
        record = join_settings(own, record) if record else own
        pool(conserved, {k: Conservation(**v) for k, v in own.get("conserved", {}).items()})
        for name, value in own.get("timings", {}).items():
            timings[name] = round(timings.get(name, 0) + value, 3)
    record["conserved"] = {name: asdict(one) for name, one in conserved.items()}
    record["timings"] = timings
    record["merged_from"] = [relative_to(part.path, base) for part in parts]
    return record


def _copy_overlays(parts: Sequence[Part], folder: Path, method: str) -> None:
    for part in parts:
        own = part.path / "overlays" / method
        if own.is_dir():
            with writing_to(folder):
                shutil.copytree(own, folder / "overlays" / method, dirs_exist_ok=True)
