"""The training library as a guest: it leaves the process as it found it."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException


@contextmanager
def isolated_chance(device: torch.device) -> Iterator[None]:
    """Give torch's global generators back as they were, whatever happens inside."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def quiet_library() -> Iterator[None]:
    """Keep the training library from talking, and from keeping signals for itself.

    It logs advertisements, warns of what it uses itself that is getting old, and turns an
    interrupt into `sys.exit(1)` with further ones ignored; callers of a function expect
    KeyboardInterrupt. SIGTERM, where nobody else has a handler for it, becomes a SystemExit
    without a code, as if all had gone well: its code is 143 then.
    """
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in (
                FutureWarning,
                DeprecationWarning,
                UserWarning,
            ):  # its hints are of the last
                warnings.filterwarnings("ignore", category=kind, module=r"lightning\.")
            yield
    except SystemExit as err:
        if isinstance(err.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if isinstance(err, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
