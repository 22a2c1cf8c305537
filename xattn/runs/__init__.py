"""The run folder: what a run leaves on disk, and the columns its tables promise."""

from xattn.runs.folder import ComparisonFolder, RunFolder, TableFolder, last_run
from xattn.runs.tables import TABLES

__all__ = ["TABLES", "ComparisonFolder", "RunFolder", "TableFolder", "last_run"]
