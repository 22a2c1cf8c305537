"""Which files are there, without asking for each of half a million one by one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_FEW = 16
"""Questions about one folder after which it is listed instead."""


class Listing:
    """Answers whether files exist; a folder that is asked about often is listed once.

    On a network disk a listing takes a moment and a million questions take an hour.
    """

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str | Path) -> bool:
        """Say whether there is a file at a path."""
        folder, name = os.path.split(path)
        names = self._names.get(folder)
        if names is None:
            self._asked[folder] += 1
            if self._asked[folder] <= _FEW:
                return os.path.isfile(path)
            names = self._names[folder] = frozenset(_files(folder))
        # Some disks find a name that is spelled otherwise in the listing.
        return name in names or os.path.isfile(path)


def files_below(root: str | Path, endings: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (folder, file name) of all files of such endings below a folder, sorted.

    Hidden files and folders are passed over.

    Args:
        root: the folder.
        endings: in lower case, with their dot.
    """
    wanted = tuple(endings)
    for folder, inner, names in os.walk(root, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(wanted):
                yield folder, name


def _files(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except (OSError, ValueError):  # a path with a zero in it is a ValueError
        return
