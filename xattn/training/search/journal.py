"""Where a search's trials are stored: Optuna's journal, under a lock that dies with its holder.

Optuna's journal file holds all that is known of the trials, one line of JSON per event, and
processes share it. Two things of it do not hold when a process is killed while it writes
(measured with Optuna 5.0 and SIGKILL):

- Its own locks, `JournalFileSymlinkLock` and `JournalFileOpenLock`, stay behind, and the next
  process waits 30 s for each: 30.2 s and 30.1 s before a trial could be asked for. A kernel's lock
  is free at once.
- A half line stays at the end of the file, the next line is written behind it, and from then on
  every process ends with a JSONDecodeError. So it is cut off before anything is written.

`RDBStorage` on SQLite has neither, but 20 trials of 10 epochs take it 12.5 s instead of 2.2 s, its
file cannot be read as text, and SQLite's locks do not work on many network file systems. Its
heartbeat gives a trial that a process left to another under a new number; here it keeps its number
and goes on after its last epoch, see `SharedStudy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from xattn.runs.locks import held


def journal_storage(journal: Path, lock: Path) -> JournalStorage:
    """Return Optuna's storage in the file `journal`, written by who holds `lock`."""
    own: Any = _JournalLock(journal, lock)  # Optuna does not export the base class
    return JournalStorage(JournalFileBackend(str(journal), own))


class _JournalLock:
    """Lock as Optuna's journal takes it; before each write a half line is cut off."""

    def __init__(self, journal: Path, lock: Path) -> None:
        self._journal, self._lock = journal, lock
        self._context: Any = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._context = held(self._lock)
        self._context.__enter__()
        _drop_half_line(self._journal)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._context.__exit__(None, None, None)


def _drop_half_line(path: Path) -> None:
    """Cut a text file after its last line end."""
    with path.open("rb+") as file:
        data = b""
        size = end = file.seek(0, 2)
        while end and b"\n" not in data:
            start = max(0, end - 4096)
            file.seek(start)
            data, end = file.read(end - start), start
        kept = end + data.rfind(b"\n") + 1
        if kept < size:
            file.truncate(kept)
