"""Locks on files that the kernel gives back when their holder dies, however it dies.

On file systems without such locks (flock) the file itself is the lock: made exclusively, taken
away at the end, and taken over if its holder was a process of this host that is no more.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    import fcntl
except ModuleNotFoundError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

Release = Callable[[], None]

_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_UNWRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
_TIME_TO_SIGN = 60.0  # seconds after which a lock file without its holder's name is a dead one's


class Taken(Exception):  # noqa: N818 -- the usual outcome of asking twice
    """Another process has the lock.

    Attributes:
        holder: pid, host and command, as far as they are known.
        file: the file to delete should the holder be gone; None where the kernel takes care.
    """

    def __init__(self, holder: dict[str, Any], file: Path | None = None) -> None:
        super().__init__(holder)
        self.holder = holder
        self.file = file


class Hold:
    """A lock that is held until the block ends, or the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)


def try_hold(path: Path) -> Hold | None:
    """Take the lock of a file if nobody holds it, and make the file if need be; it stays.

    A second attempt fails within the same process too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Hold(descriptor)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock of a file and hold it for the block; the file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(path: Path, command: str = "", *, shared: bool = False) -> Release:
    """Take the lock of a file that lives as long as its holders; return what gives it back.

    Args:
        path: the file; its folder must be there.
        command: told to those who come meanwhile.
        shared: others may have it too, if they take it so. Where the file cannot be written, or
            the file system has no locks, nothing is held, but a holder that is there is found.

    Raises:
        Taken: another process has it.
        OSError: the file cannot be made.
    """
    descriptor = None
    try:
        if fcntl is not None:
            descriptor = _locked(path, shared)
    except OSError as err:
        if shared and err.errno in _UNWRITABLE | {errno.ENOENT}:
            return lambda: None
        if err.errno not in _WITHOUT_LOCKS:
            raise
    if descriptor is None:
        return _take_by_file(path.with_name(f"{path.name}.pid"), command, shared)
    with suppress(OSError):  # a reader may have opened it for reading alone
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"" if shared else _signed(command), 0)
    return lambda: _give_back(descriptor, path, shared)


def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def _locked(path: Path, shared: bool) -> int:
    """Return the descriptor of the locked file.

    Raises:
        Taken: another process has it.
        OSError: the file cannot be opened, or its file system has no locks.
    """
    while True:
        try:
            descriptor = _opened(path)
        except OSError as err:
            if not (shared and err.errno in _UNWRITABLE):
                raise
            descriptor = _opened(path, os.O_RDONLY)
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _parsed(os.pread(descriptor, 4096, 0))
            os.close(descriptor)
            raise Taken(holder) from None
        except OSError as err:
            if err.errno in _WITHOUT_LOCKS:
                path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        if _is(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder took the file away in between


def _give_back(descriptor: int, path: Path, shared: bool) -> None:
    try:
        with suppress(OSError):  # somebody else still reads
            if shared:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(descriptor, path):
                path.unlink()
    finally:
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    """Say whether the open file still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _take_by_file(path: Path, command: str, shared: bool) -> Release:
    while True:
        if shared:
            if path.exists() and not _taken_over(path):
                raise Taken(_parsed(path.read_bytes()), path)
            return lambda: None
        try:
            descriptor = _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            if _taken_over(path):
                continue
            raise Taken(_parsed(path.read_bytes()), path) from None
        os.write(descriptor, _signed(command))
        os.close(descriptor)
        return lambda: path.unlink(missing_ok=True)


def _taken_over(path: Path) -> bool:
    """Take a lock file away if its holder is no more."""
    try:
        content, age = path.read_bytes(), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return True
    holder = _parsed(content)
    if "pid" not in holder:
        if age < _TIME_TO_SIGN:
            return False
    elif holder.get("host") != socket.gethostname() or _lives(holder["pid"]):
        return False
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.rename(mine)
    except FileNotFoundError:
        return True
    if mine.read_bytes() != content:  # another process was faster, and holds it now
        mine.rename(path)
        return False
    mine.unlink()
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _signed(command: str) -> bytes:
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "command": command}
    return json.dumps(facts).encode()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except ValueError:
        return {}
    whole = isinstance(facts, dict) and isinstance(facts.get("pid"), int) and facts["pid"] > 0
    return facts if whole else {}
