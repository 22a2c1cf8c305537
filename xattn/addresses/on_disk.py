"""The scratch folder's side of a listing: what is there, what is gone, what cannot be made."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from xattn.addresses.stores import Facts


class Gone:
    """Paths below a folder that a listing no longer has."""

    def __init__(self, known: dict[str, Facts], top: str, deep: bool) -> None:
        start = top + os.sep
        self._left = {
            path
            for path in known
            if path.startswith(start) and (deep or os.sep not in path[len(start) :])
        }

    def still_there(self, path: str) -> None:
        """Note that a listing has a path."""
        self._left.discard(path)

    def paths(self) -> set[str]:
        """Return those that it has not."""
        return self._left


def file_at(path: str) -> os.stat_result | None:
    """Return the facts of a plain file; None for anything else."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return there if stat.S_ISREG(there.st_mode) else None


def make_parents(path: str) -> bool:
    """Make the folders of a path; False where an object has the name of one, or none takes it."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG:
            return False
        raise
    return not os.path.isdir(path)
