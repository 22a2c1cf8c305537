"""The folders that figures and tables are made from, what they are called, and where these go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.analysis.one_output import OneOutput, file_name
from xattn.errors import UsageError
from xattn.paths import as_path
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.runs.csv_text import unguarded_table
from xattn.runs.table_folder import read_settings

if TYPE_CHECKING:
    import pandas as pd

Folder = TableFolder | str | Path


@dataclass(frozen=True)
class SearchFolder(TableFolder):
    """What `xattn search` left on disk: search.json and trials.csv."""

    @property
    def is_there(self) -> bool:
        """Whether a search was begun here."""
        return (self.path / "search.json").is_file() and (self.path / "trials.csv").is_file()

    @cached_property
    def record(self) -> dict[str, Any]:
        """Content of search.json."""
        return read_settings(self.path / "search.json")

    @cached_property
    def trials(self) -> pd.DataFrame:
        """trials.csv, one row a trial; choices are text as they stand in the recipe."""
        import pandas as pd

        space = self.record["search"]["space"]
        choices = {key: str for key, axis in space.items() if isinstance(axis, list)}
        return unguarded_table(pd.read_csv(self.path / "trials.csv", dtype=choices))

    def of(self, state: str) -> pd.DataFrame:
        """Return the trials that ended so and have a value."""
        return self.trials[(self.trials["state"] == state) & self.trials["value"].notna()]


@dataclass(frozen=True)
class KnownFolder(TableFolder):
    """What a study of known answers left on disk: known.csv and known_answers.csv."""

    @property
    def is_there(self) -> bool:
        """Whether known answers were counted here."""
        return self.has_table("known_answers")


def opened(folder: Folder) -> TableFolder:
    """Open a folder as what it is: a comparison, a search, a course of training, or a run.

    Raises:
        RunError: it is none of them.
    """
    if isinstance(folder, TableFolder):
        return folder
    path = as_path(folder, "a run folder")
    for kind in (ComparisonFolder(path), SearchFolder(path), KnownFolder(path)):
        if kind.is_there:
            return kind
    tables = TableFolder(path)
    if tables.has_table("usage_over_training") and not (path / "run.json").is_file():
        return tables
    return RunFolder.open(path)


@dataclass(frozen=True)
class Seen:
    """Folders as they are shown together.

    Attributes:
        output: the one of independent outputs that is shown; "" where there are none.
        name: of its files, "" likewise.
        folders: of what is shown.
        places: their numbers among all folders.
    """

    output: str
    name: str
    folders: tuple[TableFolder, ...]
    places: tuple[int, ...]


def seen_as(folders: Sequence[TableFolder]) -> list[Seen]:
    """Return what is shown one after the other: each independent output that all runs have.

    Args:
        folders: runs and others; what is no run of independent outputs comes first, as it is.

    Raises:
        UsageError: some runs have independent outputs and others have classes, or the runs share
            no output.
    """
    runs = [folder for folder in folders if isinstance(folder, RunFolder)]
    parted = [run for run in runs if not run.exclusive]
    if not parted:
        return [Seen("", "", tuple(folders), tuple(range(len(folders))))]
    if len(parted) < len(runs):
        other = next(run for run in runs if run.exclusive)
        raise UsageError(
            f"Expected runs of independent outputs or of classes, but got both: {parted[0].path} "
            f"has {', '.join(parted[0].classes)}, {other.path} {', '.join(other.classes)}; show "
            "them apart"
        )
    shared = [name for name in parted[0].classes if all(name in run.classes for run in parted)]
    if not shared:
        raise UsageError(
            f"Expected runs that share an output, but {parted[0].path} has "
            f"{', '.join(parted[0].classes)} and {parted[-1].path} {', '.join(parted[-1].classes)}"
        )
    others = tuple(i for i, folder in enumerate(folders) if not isinstance(folder, RunFolder))
    own = tuple(i for i in range(len(folders)) if i not in others)
    found = [Seen("", "", tuple(folders[i] for i in others), others)] if others else []
    for name in shared:
        views = tuple(OneOutput(run.path, name) for run in parted)
        found.append(Seen(name, file_name(name, shared), views, own))
    return found


def listed(runs: Folder | Sequence[Folder]) -> Sequence[Folder]:
    """Return the folders given, one alone as a list of one."""
    return [runs] if isinstance(runs, TableFolder | str | Path) else runs


def targets(runs: Sequence[TableFolder], kind: str, out: str | Path | None) -> list[Path]:
    """Return the folder for the files of each run: RUN/kind, or a folder of its own in `out`.

    Raises:
        UsageError: two runs of one name would share a folder in `out`.
    """
    if out is None:
        return [run.path / kind for run in runs]
    if len(runs) == 1:
        return [as_path(out, "a folder")]
    places = [as_path(out, "a folder") / run.path.resolve().name for run in runs]
    if len(set(places)) < len(places):
        raise UsageError(
            f"Expected runs of different names for {out}, but two share one; leave --out away"
        )
    return places


def target_of_all(runs: Sequence[TableFolder], kind: str, out: str | Path | None) -> Path:
    """Return the folder for what shows all runs together: `out`, or beside the first run."""
    if out is not None:
        return as_path(out, "a folder")
    if not runs:
        return Path(kind)
    return (runs[0].path if len(runs) == 1 else runs[0].path.parent) / kind


def run_name(run: RunFolder) -> str:
    """Return what a model is called beside others: its architecture, else its folder."""
    return str(run.settings.get("architecture") or run.path.resolve().name)


def run_names(runs: Sequence[RunFolder]) -> list[str]:
    """Give each run a name of its own: the architecture, with the folder where several share it.

    Raises:
        UsageError: one run is named twice.
    """
    names = [run_name(run) for run in runs]
    shared = {name for name in names if names.count(name) > 1}
    places = iter(run_places([r for r, n in zip(runs, names, strict=True) if n in shared]))
    return [f"{name} ({next(places)})" if name in shared else name for name in names]


def run_places(runs: Sequence[RunFolder]) -> list[str]:
    """Return as much of the end of each run's path as tells all of them apart.

    Raises:
        UsageError: one run is named twice.
    """
    places = [run.path.resolve() for run in runs]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(f"Expected each run once, but got {place} twice")
    deepest = max((len(place.parts) for place in places), default=1)
    for depth in range(1, deepest + 1):
        ends = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(ends)) == len(ends):
            break
    return ends
