"""The run folder: what a run leaves on disk, and the columns its tables promise."""

from xattn.runs.columns import COLUMNS, MORE_COLUMNS
from xattn.runs.folder import ComparisonFolder, RunFolder, TableFolder, last_run

__all__ = ["COLUMNS", "MORE_COLUMNS", "ComparisonFolder", "RunFolder", "TableFolder", "last_run"]
