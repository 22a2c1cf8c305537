"""Paths as users give them: what is none is named for what it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xattn.addresses.address import is_address
from xattn.addresses.doors import known_path, local
from xattn.addresses.mirror import MIRROR
from xattn.addresses.scratch import address_at
from xattn.errors import UsageError


def as_path(given: Any, what: str, way_out: str = "") -> Path:
    """Return what a user gave as a path; of an address, the path that stands for it.

    Args:
        given: text, or a path of any kind, or an address such as s3://bucket/images.
        what: the file or folder that is meant, for the message.
        way_out: of other things, for the message.

    Raises:
        UsageError: it is something else, such as an array.
        AddressError: an address cannot be reached.
    """
    if isinstance(given, str | os.PathLike):
        return Path(local(given))
    raise UsageError(f"Expected the path of {what}, but got {kind_of(given)}{way_out}")


def as_paths(given: Any, what: str, way_out: str = "") -> list[str]:
    """Return one path, or several, as texts.

    Raises:
        UsageError: as `as_path`.
    """
    if isinstance(given, str | os.PathLike):
        return [os.fspath(local(given))]
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
    """Name a file as seen from a folder, with forward slashes; it need not lie inside.

    From an address, what lies on this machine or in another bucket is named as a whole.
    """
    there, here = address_at(path), address_at(folder)
    if there is None and here is None:
        return Path(os.path.relpath(path, folder)).as_posix()
    if there is None:
        return Path(os.path.abspath(path)).as_posix()
    if here is None or there.protocol != here.protocol or (here.parts and here.host != there.host):
        return str(there)
    return Path(os.path.relpath(path, folder)).as_posix()


def joined(folder: str | Path, file: str) -> Path:
    """Return where a file lies that `relative_to` has named from a folder.

    A record alone opens no connection: an address in a bucket that no user named is of no file.
    """
    path = known_path(file) if is_address(file) else Path(folder) / file
    MIRROR.look_up(path)
    return path
