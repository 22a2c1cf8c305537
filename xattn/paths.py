"""Paths as users give them: what is none is named for what it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xattn.errors import UsageError


def as_path(given: Any, what: str, way_out: str = "") -> Path:
    """Return what a user gave as a path.

    Args:
        given: text, or a path of any kind.
        what: the file or folder that is meant, for the message.
        way_out: of other things, for the message.

    Raises:
        UsageError: it is something else, such as an array.
    """
    if isinstance(given, str | os.PathLike):
        return Path(given)
    raise UsageError(f"Expected the path of {what}, but got {kind_of(given)}{way_out}")


def as_paths(given: Any, what: str, way_out: str = "") -> list[str]:
    """Return one path, or several, as texts.

    Raises:
        UsageError: as `as_path`.
    """
    if isinstance(given, str | os.PathLike):
        return [os.fspath(given)]
    if not isinstance(given, Iterable) or hasattr(given, "shape"):
        raise UsageError(f"Expected the path of {what}, but got {kind_of(given)}{way_out}")
    return [str(as_path(one, what, way_out)) for one in given]


def kind_of(given: Any) -> str:
    """Say in a word what a thing is, with the shape of an array.

    >>> kind_of(3.5)
    'a float'
    """
    shape = getattr(given, "shape", None)
    name = type(given).__name__
    article = "an" if name[:1].lower() in "aeiou" or name == "ndarray" else "a"
    return f"{article} {name}" + (f" of shape {tuple(shape)}" if shape is not None else "")


def relative_to(path: str | Path, folder: str | Path) -> str:
    """Name a file as seen from a folder, with forward slashes; it need not lie inside."""
    return Path(os.path.relpath(path, folder)).as_posix()
