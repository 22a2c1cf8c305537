"""Run folders to merge: what each is, whether they belong together, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from xattn.attribution.run.settings import ExplainSettings
from xattn.attribution.run.shards import Job, shards_of
from xattn.errors import RunError
from xattn.images.containers import has_file
from xattn.paths import joined, relative_to
from xattn.runs.again import run_again
from xattn.runs.folder import RunFolder
from xattn.runs.identity import IDENTITY, differences, other_versions
from xattn.runs.pieces import Piece
from xattn.runs.table_folder import read_settings
from xattn.runs.tables.errors import ERRORS

SAME = (*IDENTITY, *ExplainSettings.identity(), "computed_in", "methods", "targets")
"""What runs must share to be merged."""
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
        return relative_to(joined(self.path.absolute().parent, file), self.base)

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


def require_alike(parts: Sequence[Part]) -> list[str]:
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


def in_order(parts: Sequence[Part], allow_missing: bool) -> tuple[list[Part], list[str]]:
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
