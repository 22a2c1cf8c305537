"""The run folder: what a run leaves on disk, and the columns its tables promise."""

from xattn.runs.folder import RunFolder, last_run
from xattn.runs.table_folder import ComparisonFolder, TableFolder
from xattn.runs.tables import TABLES

__all__ = ["TABLES", "ComparisonFolder", "RunFolder", "TableFolder", "last_run"]
