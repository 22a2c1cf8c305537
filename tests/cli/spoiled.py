"""Places that cannot be written, in processes of their own: what a disk or a right refuses.

A process gets file systems of its own (unshare), so that no mount outlives it and none is seen
by others. Where the kernel allows none, `why_not` says so.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests import forked
from xattn.cli import main

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_C = ctypes.CDLL(None, use_errno=True)
_ROOM = 64 * 2**20
BALLAST = ".ballast"


def alone() -> None:
    """Give this process file systems of its own, as root or in a user namespace."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _must(_C.unshare(_NEWNS))
    else:
        _must(_C.unshare(_NEWNS | _NEWUSER))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    _must(_C.mount(None, b"/", None, _REC | _PRIVATE, None))


def read_only(place: Path) -> None:
    """Let nothing be written into a folder."""
    alone()
    where = os.fsencode(place)
    _must(_C.mount(where, where, None, _BIND, None))
    _must(_C.mount(None, where, None, _BIND | _REMOUNT | _RDONLY, None))


def full(place: Path, room: int = 0) -> None:
    """Put a folder on a disk of its own that has `room` bytes left, in steps of 4 KiB."""
    alone()
    content = place.with_name(f"{place.name}-before")
    shutil.copytree(place, content)
    _must(_C.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, f"size={_ROOM}".encode()))
    shutil.copytree(content, place, dirs_exist_ok=True)
    shutil.rmtree(content)
    ballast = place / BALLAST
    free = shutil.disk_usage(place).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(4096, free - room))


def forbidden(place: Path) -> None:
    """Take away the right to write into a folder and what lies in it, from root too."""
    for path in (place, *place.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _must(_C.capget(header, data))
    for word in (0, 1):
        data[word] &= ~0b1111  # chown and the right to pass over rights
    _must(_C.capset(header, data))


def why_not() -> str:
    """Say why no process here can have file systems of its own; "" if it can."""
    process = forked.server().Process(target=alone)
    process.start()
    process.join()
    return "" if process.exitcode == 0 else "the kernel gives no file systems of one's own here"


def command(spoil: Callable[..., None], place: Path, words: list[str], *given: object) -> None:
    """Be the command `xattn` once a place was spoiled; for `forked.start`."""
    spoil(place, *given)
    forked.command(*words)


def command_twice(place: Path, words: list[str], room: int, kept: Path) -> None:
    """Be a command on a disk that is full, and again once there is room; keep what it wrote."""
    full(place, room)
    first = main(words)
    (place / BALLAST).unlink()
    second = main(words)
    shutil.copytree(place, kept)
    sys.exit(10 * first + second)


def _must(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
