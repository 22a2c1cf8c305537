"""Folders of tables, and what `xattn compare` leaves in one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.disk import replacing
from xattn.errors import RunError
from xattn.runs.again import table_again
from xattn.runs.atomic import read_record
from xattn.runs.csv_text import unguarded_table, write_csv
from xattn.runs.record import keep_record, require_recorded, require_whole
from xattn.runs.tables import TABLES, records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableFolder:
    """A folder of CSV tables with promised columns.

    Attributes:
        path: the folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # a text will do

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the CSV tables.

        Raises:
            RunError: it was not written yet, or is not as a record beside it knows it.
            UsageError: no table has this name.
        """
        import pandas as pd

        path = self.path / f"{name}.csv"
        if not path.is_file():
            raise RunError(
                f"Expected {path}, but it is not there"
                f"; write it with {table_again(self.path, name)}"
            )
        require_recorded(path)
        # "None" and "NA" are honest names for features and labels, not missing values.
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        return unguarded_table(table)

    def has_table(self, name: str) -> bool:
        """Say whether a CSV table was written."""
        return (self.path / f"{name}.csv").is_file()

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        """Write one of the CSV tables whole or not at all; the promised columns come first."""
        promised = TABLES[name].promised
        missing = [c for c in promised if c not in table.columns]
        if missing:
            raise ValueError(
                f"Expected the columns {promised} in {name}, but {missing} are missing"
            )
        more = [c for c in table.columns if c not in promised]
        path = self.path / f"{name}.csv"
        with replacing(path) as scratch:
            write_csv(_counted(table[[*promised, *more]], TABLES[name].counts), scratch)
        keep_record(path)
        return path

    def require_whole(self) -> None:
        """Make sure that each record here and the tables it is of belong together.

        Raises:
            RunError: some were stopped halfway, or are of other predictions; with the way out.
        """
        for name in records():
            require_whole(self.path / name)


@dataclass(frozen=True)
class ComparisonFolder(TableFolder):
    """What `xattn compare` left on disk."""

    @classmethod
    def open(cls, path: str | Path) -> ComparisonFolder:
        """Open the comparison at `path`.

        Raises:
            RunError: there is none.
        """
        folder = cls(Path(path))
        if not folder.is_there:
            raise RunError(
                f"Expected a comparison at {path}, but got no comparison.json there"
                f"; make one with {table_again(folder.path, 'comparison')}"
            )
        return folder

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a finished comparison."""
        return (self.path / "comparison.json").is_file()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Content of comparison.json."""
        return read_settings(self.path / "comparison.json")


def read_settings(path: Path) -> dict[str, Any]:
    """Read a run.json.

    Raises:
        RunError: its content is no JSON object, or damaged.
    """
    return read_record(path, "the record of a run")


def _counted(table: pd.DataFrame, counts: Collection[str]) -> pd.DataFrame:
    """Make whole numbers of counts that pandas holds as floats, for some are missing."""
    floats = [c for c in table if c in counts and table[c].dtype.kind == "f"]
    whole = [c for c in floats if (table[c].dropna() % 1 == 0).all()]
    return table.astype(dict.fromkeys(whole, "Int64"))
