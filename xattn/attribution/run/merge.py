"""`merge`: run folders of one model, such as the shards of one job, put together into one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import zarr

from xattn.attribution.passes.relevance import Conservation, pool
from xattn.attribution.run.moved_records import moved_record
from xattn.attribution.run.settings import ExplainSettings
from xattn.attribution.run.shards import Job, shards_of
from xattn.disk import writing_to
from xattn.errors import Remark, RunError, UsageError
from xattn.images.containers import has_file
from xattn.paths import as_path, as_paths, relative_to
from xattn.runs.again import run_again
from xattn.runs.atomic import write_json
from xattn.runs.batches import Batch
from xattn.runs.folder import RunFolder
from xattn.runs.gather import Gathered, gather_rows
from xattn.runs.guard import reading, writes
from xattn.runs.identity import IDENTITY, differences, join_settings, other_versions
from xattn.runs.inputs import read_stamps, write_stamps
from xattn.runs.parquet import write_parquet
from xattn.runs.pieces import Piece, write_rows
from xattn.runs.table_folder import read_settings
from xattn.runs.tables import records
from xattn.runs.tables.errors import ERRORS

SAME = (*IDENTITY, *ExplainSettings.identity(), "methods", "targets")
"""What runs must share to be merged."""
_WRITTEN = ("maps.zarr", "overlays", "predictions.parquet", "inputs.parquet", "errors.csv")
"""What a merge writes before its record, and leaves if it is stopped."""
ROUNDING = ("engine", "device", "batch_size")
"""What may differ, and changes maps by no more than the rounding that `explain` allows."""


@dataclass(frozen=True)
class Part:
    """A run folder to merge, and what its files are called from the merged one."""

    path: Path
    base: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Content of its run.json."""
        return read_settings(self.path / "run.json")

    @cached_property
    def run(self) -> RunFolder | None:
        """The run; None if not one of its images could be done."""
        if not (self.path / "predictions.parquet").is_file():
            return None
        return RunFolder.open(self.path)

    def renamed(self, file: str) -> str:
        """Return the name of one of its files in the tables of the merged run."""
        if self.path.absolute().parent == self.base:
            return file
        return relative_to(self.path.absolute().parent / file, self.base)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Its predictions; empty if there are none."""
        if self.run is None:
            return pd.DataFrame()
        return self.run.predictions.assign(file=self.run.predictions["file"].map(self.renamed))

    def maps(self, method: str) -> Piece:
        """Return its maps of one method, unread; it has rows."""
        assert self.run is not None
        return Piece.stored(list(self.rows["file"]), self.run.map_array(method))

    @cached_property
    def errors(self) -> pd.DataFrame:
        """What could not be done."""
        folder = RunFolder(self.path)
        if not folder.has_table("errors"):
            return pd.DataFrame(columns=list(ERRORS.promised))
        errors = folder.table("errors").fillna("")
        return errors.assign(file=errors["file"].map(self.renamed))

    def lost_files(self) -> str:
        """Say how many images are not where the run names them, as in a copy of it; "" if none."""
        if self.run is None:
            return ""
        files, place = list(self.run.predictions["file"]), self.path.absolute().parent
        gone = [file for file in files if not has_file(place / file)]
        if not gone:
            return ""
        return (
            f"{len(gone):,} of {len(files):,} images of {self.path} are not where it names them "
            f"({gone[0]} from {place}); was it copied or moved?"
        )

    def require_finished(self) -> None:
        """Make sure that it is a run folder that no call is to go on with.

        Raises:
            RunError: it is none, or was stopped.
        """
        if not (self.path / "run.json").is_file():
            raise RunError(f"Expected a run folder at {self.path}, but got no run.json there")
        all_failed = self.run is None and (self.path / "errors.csv").is_file()
        if (self.path / ".progress").is_dir() or (self.run is None and not all_failed):
            raise RunError(
                f"Expected a finished run in {self.path}, but it was stopped"
                f"; repeat {run_again(self.path, last=True)} to go on"
            )


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
        notes = _require_alike(parts)
        parts, missing = _in_order(parts, allow_missing)
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


def _require_alike(parts: Sequence[Part]) -> list[str]:
    """Make sure that the runs are of the same settings; return in what else they differ."""
    first, notes = parts[0], []
    for part in parts[1:]:
        keys = [key for key in SAME if key in first.settings and key in part.settings]
        found = [
            one for key in keys for one in differences(first.settings[key], part.settings[key], key)
        ]
        if found:
            was = ", ".join(f"{key} {then!r}" for key, then, _ in found)
            now = ", ".join(f"{key} {value!r}" for key, _, value in found)
            raise RunError(
                f"Expected runs of the same settings, but {first.path} has {was}, and {part.path} "
                f"has {now}; merge runs of one model, explained with the same options"
            )
        if versions := other_versions(first.settings, part.settings):
            notes.append(f"{part.path} was made in other versions than {first.path}: {versions}")
        for key in ROUNDING:
            own, other = first.settings.get(key), part.settings.get(key)
            if own != other:
                notes.append(
                    f"{part.path} was made with {key} {other}, {first.path} with {own}: maps are "
                    "alike but for rounding"
                )
    return notes


def _in_order(parts: Sequence[Part], allow_missing: bool) -> tuple[list[Part], list[str]]:
    """Put the shards of each job in their order; return what is missing of them, if it may be."""
    jobs: dict[Job, dict[int, Part]] = {}
    for part in parts:
        for job, shards in shards_of(part.settings.get("calls", [])).items():
            seen = jobs.setdefault(job, {})
            for shard in shards:
                if shard.number in seen:
                    raise RunError(
                        f"Expected each shard once, but {shard} is in {seen[shard.number].path} "
                        f"and {part.path}"
                    )
                seen[shard.number] = part
    gone = {
        job: [f"{i}/{job.of}" for i in range(1, job.of + 1) if i not in seen]
        for job, seen in jobs.items()
    }
    if any(gone.values()) and not allow_missing:
        raise RunError(_missing(jobs, gone))
    ordered = dict.fromkeys(part for seen in jobs.values() for _, part in sorted(seen.items()))
    coming = iter(ordered)
    # Runs of all their images stay where they were named.
    kept = [next(coming) if part in ordered else part for part in parts]
    told = ", ".join(one for some in gone.values() for one in some)
    return kept, [f"shards that are missing: {told}"] if told else []


def _missing(jobs: Mapping[Job, Mapping[int, Part]], gone: Mapping[Job, Sequence[str]]) -> str:
    """Say which shards of which job are missing, and which runs are of another."""
    job = next(job for job, some in gone.items() if some)
    others = [
        f"{part.path} is of another job, {other.in_words()}"
        for other, seen in jobs.items()
        if other != job
        for part in seen.values()
    ]
    more = f" ({others[0]})" if others else ""
    return (
        f"Expected all {job.of} shards of {job.in_words()}, but got none of "
        f"{', '.join(gone[job])}{more}; explain what is missing with --shard, or merge without it "
        "with --allow-missing"
    )


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
