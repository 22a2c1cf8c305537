"""Processes of their own that start at once.

A new Python spends seven seconds of a processor on importing PyTorch, timm and Lightning before
it does what is tested. These are forked from a server that has imported them, and nothing more:
each is a process with a number, signals and an exit code like any other. What is tested is not
the start then; tests of imports and of the start itself begin with a new Python.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

IMPORTED = [
    "xattn.analysis.feature_usage",
    "xattn.analysis.interventions.table",
    "xattn.attribution.run.pipeline",
    "xattn.cli",
    "xattn.training.search.search",
]


def server() -> ForkServerContext:
    """Return the server: what it forks has no threads of PyTorch that would wait for others."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def start(
    function: Callable[..., Any], *given: Any, folder: Path, name: str = "process"
) -> BaseProcess:
    """Call a function of a module in a process of its own, within `folder`.

    What it prints is in `folder`, in NAME.out and NAME.err. Its exit code is 0, that of its
    `sys.exit`, or the negative number of the signal that ended it.
    """
    process = server().Process(target=_within, args=(folder, name, function, given))
    process.start()
    return process


def command(*words: str) -> None:
    """Be the command `xattn`, and end with its exit code; for `start`."""
    from xattn.cli import main

    sys.exit(main(list(words)))


def said(folder: Path, name: str = "process") -> tuple[str, str]:
    """Return what a process printed, and what it printed as errors."""
    return (folder / f"{name}.out").read_text(), (folder / f"{name}.err").read_text()


def _within(folder: Path, name: str, function: Callable[..., Any], given: tuple[Any, ...]) -> None:
    for end, stream in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / f"{name}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this one
    function(*given)
