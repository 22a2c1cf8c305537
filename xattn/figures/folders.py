"""Which kind of folder lies at a path: what a figure can be drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.errors import RunError
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.runs.folder import read_settings

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
        return pd.read_csv(self.path / "trials.csv", dtype=choices)

    def of(self, state: str) -> pd.DataFrame:
        """Return the trials that ended so and have a value."""
        return self.trials[(self.trials["state"] == state) & self.trials["value"].notna()]


def opened(folder: Folder) -> TableFolder:
    """Open a folder as what it is: a comparison, a search, a course of training, or a run.

    Raises:
        RunError: it is none of them.
    """
    if isinstance(folder, TableFolder):
        return folder
    path = Path(folder)
    for kind in (ComparisonFolder(path), SearchFolder(path)):
        if kind.is_there:
            return kind
    tables = TableFolder(path)
    if tables.has_table("usage_over_training") and not (path / "run.json").is_file():
        return tables
    return RunFolder.open(path)


def run_name(run: RunFolder) -> str:
    """Return what a model is called beside others: its architecture, else its folder."""
    return str(run.settings.get("architecture") or run.path.resolve().name)


def run_names(runs: list[RunFolder]) -> list[str]:
    """Give each run a name of its own: the architecture, with the folder's name where two share it.

    Raises:
        RunError: two runs share both, so that a figure could not tell them apart.
    """
    names = [run_name(run) for run in runs]
    folders = [run.path.resolve().name for run in runs]
    full = [
        name if names.count(name) == 1 or name == folder else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    ]
    for name in full:
        if full.count(name) > 1:
            raise RunError(
                f"Expected runs that can be told apart, but {full.count(name)} are called {name}"
                "; give their folders names of their own"
            )
    return full
