"""What a refusal to go on with a run folder says: the command's own option for another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_OPTION: ContextVar[str] = ContextVar("xattn.runs.another_folder", default="--out")


@contextmanager
def folder_option(name: str) -> Iterator[None]:
    """Say which option names the run folder in the block, where it is not --out.

    Args:
        name: with its dashes.
    """
    token = _OPTION.set(name)
    try:
        yield
    finally:
        _OPTION.reset(token)


def another_folder() -> str:
    """Return the way out: "name another folder with --out".

    >>> with folder_option("--run"):
    ...     another_folder()
    'name another folder with --run'
    """
    return f"name another folder with {_OPTION.get()}"
