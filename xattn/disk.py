"""What a disk or its rights refuse, as one line: the file, the reason, the way out.

Libraries raise many things when a write fails: PyTorch a RuntimeError on a position in an archive,
safetensors its own with the number in words, pyarrow an OSError without a file. What writes names
its file by `writing_to`; what is left, the command line says without one.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from xattn.addresses.outgoing import committed
from xattn.errors import DiskError, one_line

_REPEAT = "repeat the command, what was written is kept"
_RIGHTS = "allow it, or name another place"
_NAME = "name another place"
_WAYS_OUT = {
    errno.ENOSPC: f"make room there and {_REPEAT}",
    errno.EDQUOT: f"make room in your quota there and {_REPEAT}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f) and {_REPEAT}",
    errno.EMFILE: f"raise the limit on open files (ulimit -n) and {_REPEAT}",
    errno.EIO: f"see whether the disk and the network work, then {_REPEAT}",
    errno.ESTALE: f"see whether the network drive is there, then {_REPEAT}",
    errno.EROFS: _NAME,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOTDIR: _NAME,
    errno.EISDIR: _NAME,
    errno.EEXIST: _NAME,
    errno.ENAMETOOLONG: "name it shorter",
    errno.ENOENT: f"see that nothing is moved meanwhile, and {_REPEAT}",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMBER_IN_WORDS = re.compile(r"\(os error (\d+)\)")  # as Rust's libraries say it
_LONGEST = 120
_STALE = 86_400
"""Seconds after which no writer is still at its scratch file."""


def disk_error(
    err: BaseException, place: str | Path | None = None, what: str = "write"
) -> DiskError | None:
    """Return what a disk refused as an error of one line; None if `err` is of something else.

    >>> disk_error(OSError(28, "No space left on device"), "run/a.csv")
    DiskError('Expected to write run/a.csv, but got: No space left on device; make room there and \
repeat the command, what was written is kept')

    Args:
        err: what was raised.
        place: file or folder that was written; else the one that `err` names.
        what: was to be done with it.
    """
    if isinstance(err, DiskError):
        return err
    refused = _refused(err)
    if refused is None:
        return None
    number, named = refused
    if place is None:
        place, what = named, "open" if named else what
    why = os.strerror(number) if number else one_line(err)
    way_out = _WAYS_OUT.get(number, "")
    shown = "" if place is None else f" {_shortened(str(place))}"
    return DiskError(
        f"Expected to {what}{shown}, but got: {why}" + (f"; {way_out}" if way_out else "")
    )


@contextmanager
def writing_to(place: str | Path, what: str = "write") -> Iterator[None]:
    """Name the file or folder that is written, if the disk refuses it within the block.

    Raises:
        DiskError: it does.
    """
    try:
        yield
    except Exception as err:
        found = disk_error(err, place, what)
        if found is None or found is err:
            raise
        raise found from err


@contextmanager
def writing_into(folder: str | Path) -> Iterator[None]:
    """Name the folder if a disk is full, or a quota, and nothing else says where.

    Raises:
        DiskError: it is.
    """
    try:
        yield
    except Exception as err:
        refused = _refused(err)
        if refused is None or refused[1] is not None or refused[0] not in _FULL:
            raise
        raise disk_error(err, folder, "write into") or err from err


@contextmanager
def replacing(path: Path, *, durable: bool = True, shared: bool = False) -> Iterator[Path]:
    """Give a scratch path beside `path` that takes its place if the block succeeds.

    A kill at any moment leaves the old file or the new one, never half of either.

    Args:
        path: the file.
        durable: neither does a power cut, from when this returns; it takes the disk a moment.
        shared: several processes may write it at the same time, each from a scratch path of its
            own, and the last one's stays; else nothing but a lock keeps them apart.

    Under an address the file goes up then.

    Raises:
        DiskError: the disk does not take it; it is named as `path`.
        AddressError: nor does the store of an address.
    """
    own = f"{token_hex(4)}." if shared else ""
    scratch = path.with_name(f".{path.name}.{own}part")
    with writing_to(path):
        if shared:
            _sweep(path)
        try:
            yield scratch
            if durable:
                _sync(scratch)
            os.replace(scratch, path)
            if durable:
                _sync(path.parent)
            committed(path)
        finally:
            with suppress(OSError):  # where it could not be made it cannot be taken away
                scratch.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Take away what writers of a shared file left when they were killed, a day ago or more."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):  # another one sweeps too
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink()


def _sync(path: Path) -> None:
    """Have the disk write down a file, or the names in a folder, where it can."""
    with suppress(PermissionError):  # Windows opens no folder
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as err:
            if err.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
                raise
        finally:
            os.close(descriptor)


def _refused(err: BaseException) -> tuple[int, str | None] | None:
    """Return the number of what a disk refused, 0 if it has none, and the file that it names."""
    if isinstance(err, OSError):
        return err.errno or 0, None if err.filename is None else os.fsdecode(err.filename)
    if words := _NUMBER_IN_WORDS.search(str(err)):
        return int(words[1]), None
    before = err.__context__  # PyTorch trips over what the file it writes to has raised
    if isinstance(err, RuntimeError) and isinstance(before, OSError) and before.errno in _WAYS_OUT:
        return _refused(before)
    return None


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST else f"{path[:60]}...{path[-57:]}"
