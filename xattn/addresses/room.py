"""How much of what was fetched is kept: the oldest goes first, and who needs room waits for it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xattn.errors import UsageError

MEGABYTES = "XATTN_SCRATCH_MB"
_DEFAULT = 2048


def most_bytes() -> int:
    """Return how many bytes of fetched files are kept.

    Raises:
        UsageError: the setting is no number.
    """
    given = os.environ.get(MEGABYTES, str(_DEFAULT))
    try:
        megabytes = float(given)
    except ValueError:
        megabytes = -1
    if not 0 < megabytes < 1e9:
        raise UsageError(f"Expected a number of megabytes in {MEGABYTES}, but got {given!r}")
    return int(megabytes * 2**20)


class Room:
    """Files that were fetched, the one that was used longest ago first."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._used: dict[str, float] = {}
        self._pins: Counter[str] = Counter()
        self._reserved = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """Bytes of files that are there, and of those that are on their way."""
        with self._changed:
            return sum(self._sizes.values()) + self._reserved

    def make(self, size: int, settling: float, let_go: Callable[[str], None]) -> None:
        """Reserve room for a file, after waiting if need be; one larger than all room comes alone.

        Args:
            size: in bytes.
            settling: seconds that a file is left alone after it was fetched and not pinned.
            let_go: takes away a file; nobody can pin it meanwhile.
        """
        most = most_bytes()
        with self._changed:
            while True:
                now = time.monotonic()
                over = sum(self._sizes.values()) + self._reserved + size - most
                for path in list(self._sizes):
                    if over <= 0:
                        break
                    if not self._pins[path] and now - self._used.get(path, 0) >= settling:
                        over -= self._sizes.pop(path)
                        let_go(path)
                if over <= 0 or not (self._sizes or self._reserved):
                    self._reserved += size
                    return
                self._changed.wait(0.05)

    def took(self, path: str, size: int) -> None:
        """Note that a file has come for which room was reserved."""
        with self._changed:
            self._reserved -= size
            self._sizes[path] = size
            self._used[path] = time.monotonic()
            self._changed.notify_all()

    def gave_up(self, size: int) -> None:
        """Give back what was reserved for a file that did not come."""
        with self._changed:
            self._reserved -= size
            self._changed.notify_all()

    def forget(self, path: str) -> None:
        """Note that a file takes no room any more."""
        with self._changed:
            self._sizes.pop(path, None)
            self._used.pop(path, None)
            self._changed.notify_all()

    @contextmanager
    def pinned(self, path: str) -> Iterator[None]:
        """Keep a file for the block; after it, it may go at once."""
        with self._changed:
            self._pins[path] += 1
        try:
            yield
        finally:
            with self._changed:
                self._pins[path] -= 1
                if not self._pins[path]:
                    del self._pins[path]
                self._used[path] = 0.0
                if path in self._sizes:
                    self._sizes.move_to_end(path)
                self._changed.notify_all()
