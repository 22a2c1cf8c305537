"""The scratch folder: where each address lies on this machine while a command runs.

`s3://bucket/runs/a` lies at SCRATCH/s3/bucket/runs/a, so that files of one bucket are named from
each other as they are in the bucket. It goes when the process ends; what one that was killed left
goes when the next is made.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from xattn import errors
from xattn.addresses.address import Address
from xattn.errors import DiskError, UsageError, one_line

try:
    import fcntl
except ModuleNotFoundError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

PLACE = "XATTN_SCRATCH"
_PREFIX = "xattn-scratch-"
_HELD = ".held"
_root: str = ""
_held: IO[str] | None = None
_secrets: set[str] = set()


def root() -> str:
    """Return the scratch folder, made when it is first asked for.

    Raises:
        DiskError: it cannot be made.
    """
    global _root, _held
    if not _root:
        place = os.environ.get(PLACE) or tempfile.gettempdir()
        try:
            os.makedirs(place, exist_ok=True)
            _sweep(Path(place))
            made = os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            _held = open(os.path.join(made, _HELD), "w")  # noqa: SIM115 - as long as we live
        except OSError as err:
            raise DiskError(
                f"Expected to make a scratch folder in {place}, but got: {one_line(err)}; name "
                f"another place by {PLACE}"
            ) from err
        if fcntl is not None:
            fcntl.flock(_held, fcntl.LOCK_EX)
        _root = made
        errors.shown = shown
        atexit.register(_remove, made, os.getpid(), _held)
    return _root


def is_used() -> bool:
    """Say whether any address was named in this process."""
    return bool(_root)


def refuse(what: str, *paths: str | Path | None) -> None:
    """Refuse addresses where processes work that know nothing of them.

    Args:
        what: needs such processes, for the message.
        paths: that they would read or write; None for none.

    Raises:
        UsageError: one is of an address.
    """
    if any(path is not None and address_at(path) is not None for path in paths):
        raise UsageError(
            f"Expected folders of this machine or a shared disk with {what}, but got an address; "
            "leave one out"
        )


def path_of(address: Address) -> Path:
    """Return where an address lies in the scratch folder."""
    if address.options:
        _secrets.update(str(one) for one in address.options.values() if one)
    if len(address.query) > 1:
        _secrets.add(address.query)
    return Path(root(), address.protocol, *address.parts)


def address_at(path: str | os.PathLike[str]) -> Address | None:
    """Return the address that a path of the scratch folder stands for; None for any other path.

    That of a protocol's own folder has no parts.
    """
    text = os.fspath(path)
    if not _root or not text.startswith(_root):
        return None
    inside = os.path.relpath(os.path.normpath(text), _root).split(os.sep)
    if inside[0] in (".", "..") or text[len(_root) : len(_root) + 1] not in ("", os.sep):
        return None
    return Address(inside[0], tuple(inside[1:]))


def shown(text: str) -> str:
    """Write a text as people are to read it: addresses for scratch paths, no credentials."""
    if _root and _root in text:
        text = _beginning(_root).sub(r"\1://", text)
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


@lru_cache(maxsize=2)
def _beginning(root: str) -> re.Pattern[str]:
    # A path that is written from the folder one is in begins with steps up.
    return re.compile(rf"(?:\.\./)*(?<![^\s'\"`=(,:./]){re.escape(root)}/([a-z][a-z0-9+.-]*)/?")


def _sweep(place: Path) -> None:
    """Take away what processes left that were killed."""
    for left in place.glob(f"{_PREFIX}*") if fcntl is not None else ():
        with suppress(OSError), open(left / _HELD, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


def _remove(made: str, process: int, held: IO[str]) -> None:
    held.close()
    if os.getpid() == process:
        shutil.rmtree(made, ignore_errors=True)
