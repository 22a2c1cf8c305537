"""The connection to a Ray cluster: one that is there, or one that is started for the call."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from xattn.errors import RunError, UsageError, one_line


def require_ray() -> None:
    """Make sure that Ray is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("ray") is None:
        raise UsageError("Expected Ray for --engine ray; pip install 'xattn[ray]'")


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Yield the module `ray`, connected; what is connected or started here ends with the block.

    Args:
        address: of the cluster; default RAY_ADDRESS, else one of this machine's processors.

    Raises:
        UsageError: Ray is not installed.
        RunError: the cluster cannot be reached.
    """
    require_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report its use to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # warns of what is done on purpose
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():
        with _ends_as_asked():
            yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _signals_kept():
            if address is None:
                ray.init(include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as err:
        where = f"at {address}" if address else "on this machine"
        raise RunError(f"Expected a Ray cluster {where}, but got: {one_line(err)}") from err
    # That a worker died, which is dealt with here, it would print where the command's result goes.
    importlib.import_module("ray._private.worker")._worker_logs_enabled = False  # type: ignore[attr-defined]
    try:
        with _ends_as_asked():
            yield ray
    finally:
        ray.shutdown()


@contextmanager
def _ends_as_asked() -> Iterator[None]:
    """Raise what a signal's handler raised while Ray waited, of which Ray makes a SystemError."""
    try:
        yield
    except SystemError as err:
        asked = err.__cause__
        if asked is None or isinstance(asked, Exception):
            raise
        raise asked from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Give SIGTERM back to whoever had it: Ray takes it when it connects, and keeps it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # Another thread than the main one may set none, and Ray does not there.
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)
