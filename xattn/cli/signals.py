"""A request to end, from the system or a batch queue, ends a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HEEDED = tuple(
    signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)


class Terminated(BaseException):
    """The process was asked to end; not a KeyboardInterrupt, which libraries keep to themselves.

    Attributes:
        signal: SIGTERM or SIGHUP.
        code: exit code of the process, 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)
        self.code = 128 + number


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` in the block when a signal asks to end.

    A signal that is ignored (nohup) stays so; one that has a handler keeps it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    free = [one for one in _HEEDED if signal.getsignal(one) == signal.SIG_DFL]
    for one in free:
        signal.signal(one, _end)
    try:
        yield
    finally:
        for one in free:
            signal.signal(one, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
