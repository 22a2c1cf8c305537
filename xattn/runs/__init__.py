"""The run folder: what a run leaves on disk, and the columns its tables promise."""

from xattn.runs.columns import COLUMNS
from xattn.runs.folder import RunFolder, last_run

__all__ = ["COLUMNS", "RunFolder", "last_run"]
