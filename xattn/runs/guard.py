"""One command writes a folder, or several read it: the others are told, and nothing is mixed."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from xattn.addresses.address import is_address
from xattn.addresses.outgoing import holding, require_free
from xattn.disk import disk_error, writing_into, writing_to
from xattn.errors import RunError
from xattn.paths import as_path
from xattn.runs.locks import Release, Taken, take

P = ParamSpec("P")
R = TypeVar("R")

LOCK = ".lock"
_ATTEMPTS = 20


@contextmanager
def writing(folder: str | Path, command: str = "", name: str = LOCK) -> Iterator[None]:
    """Hold a folder for writing; made if need be, and taken away if nothing came into it.

    What the same thread calls within the block may hold it again.

    Args:
        folder: what is written.
        command: told to those who come meanwhile.
        name: of the lock's file; another than usual guards one file of the folder.

    Raises:
        RunError: another process, or another thread of this one, writes or reads the folder.
        DiskError: it cannot be made or written.
    """
    folder = as_path(folder, "a folder")
    made = _make(folder)
    try:
        with (
            _guarded(folder, name, command, shared=False),
            holding(folder, command) if name == LOCK else nullcontext(),
            writing_into(folder),
        ):
            yield
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


def writes(
    argument: str, command: str, unless: Callable[[Mapping[str, Any]], bool] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function hold the folder that is named by one of its arguments; see `writing`.

    Args:
        argument: its name; a path, or something with a `path`.
        command: told to those who come meanwhile.
        unless: says by the arguments whether the function writes nothing after all.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def holding(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if unless is not None and unless(bound.arguments):
                return function(*args, **kwargs)
            place = bound.arguments[argument]
            if is_address(place):  # listed once, here
                place = bound.arguments[argument] = as_path(place, "a folder")
            with writing(getattr(place, "path", place), command):
                return function(*bound.args, **bound.kwargs)

        return holding

    return wrap


@contextmanager
def reading(*folders: str | Path) -> Iterator[None]:
    """Keep folders from being written for the block; one that cannot hold a lock is just read.

    Raises:
        RunError: another process is writing one of them.
    """
    with ExitStack() as stack:
        for folder in dict.fromkeys(Path(folder) for folder in folders):
            require_free(folder)
            if folder.is_dir():
                stack.enter_context(_guarded(folder, LOCK, "", shared=True))
        yield


@dataclass
class _Held:
    """A lock that this process has, whose threads the kernel does not tell apart."""

    release: Release
    thread: int
    shared: bool
    depth: int = 1


_HELD: dict[str, _Held] = {}
_CHANGING = threading.Lock()


@contextmanager
def _guarded(folder: Path, name: str, command: str, *, shared: bool) -> Iterator[None]:
    key = str(folder.resolve() / name)
    with _CHANGING:
        mine = _HELD.get(key)
        if mine is None:
            mine = _HELD[key] = _take(folder, name, command, shared=shared)
        elif (mine.thread == threading.get_ident() or mine.shared) and mine.shared <= shared:
            mine.depth += 1
        else:
            raise RunError(_busy(folder, name, {"pid": os.getpid()}))
    try:
        yield
    finally:
        with _CHANGING:
            mine.depth -= 1
            if not mine.depth:
                del _HELD[key]
                mine.release()


def _take(folder: Path, name: str, command: str, *, shared: bool) -> _Held:
    for attempt in range(_ATTEMPTS):
        try:
            release = take(folder / name, command, shared=shared)
            break
        except Taken as err:
            raise RunError(_busy(folder, name, err.holder, err.file)) from None
        except OSError as err:
            # One that was refused for another reason takes away the folder it had made.
            if err.errno != errno.ENOENT or attempt == _ATTEMPTS - 1:
                raise disk_error(err, folder, "write into") or err from err
            _make(folder)
    return _Held(release, threading.get_ident(), shared)


def _busy(folder: Path, name: str, holder: dict[str, Any], file: Path | None = None) -> str:
    what = folder if name == LOCK else folder / name.removeprefix(".").removesuffix(LOCK)
    if "pid" in holder:
        who = "this process" if holder["pid"] == os.getpid() else f"process {holder['pid']}"
        who += f" on {holder['host']}" if "host" in holder else ""
        who += f" ({holder['command']})" if holder.get("command") else ""
    else:
        who = "another process"
    way_out = "; wait until it ends, or name another folder"
    if file is not None:
        way_out += f"; should it be gone, delete {file}"
    return f"Expected {what} for this command alone, but {who} is at work on it{way_out}"


def _make(folder: Path) -> list[Path]:
    """Make a folder; return those that were not there, deepest first."""
    with writing_to(folder, "write into"):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for attempt in range(_ATTEMPTS):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                break
            except FileExistsError as err:
                # A folder that another process took away between two looks is no file.
                if _is_file(folder) or attempt == _ATTEMPTS - 1:
                    raise RunError(
                        f"Expected a folder to write into, but got the file {folder}"
                    ) from err
    return missing


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False
