"""The run folder: what a run leaves on disk, and the columns its tables promise."""

from xattn.runs.columns import COLUMNS
from xattn.runs.folder import ComparisonFolder, RunFolder, TableFolder, last_run

__all__ = ["COLUMNS", "ComparisonFolder", "RunFolder", "TableFolder", "last_run"]
