"""Images inside a zip, tar, HDF5 or npz file, read in place by a path that goes on inside it.

`scans.zip/train/a.png` is the member `train/a.png` of `scans.zip`, as if the archive were a folder:
such a path stands in annotation files and tables, and whoever reads images reads members through
`read_content`, `has_file` and `file_facts`.
"""

from __future__ import annotations

import os
import re
import tarfile
import threading
import zipfile
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from xattn.addresses.failures import AddressError
from xattn.addresses.mirror import MIRROR
from xattn.errors import ImageError, one_line
from xattn.images.walk import is_litter

Content: TypeAlias = "bytes | NDArray[Any]"
"""An encoded image, or its pixels (height, width) or (height, width, channels)."""

HDF5 = frozenset({".h5", ".hdf5", ".hdf"})
NPZ = ".npz"
ARCHIVES = frozenset({".zip", ".tar", NPZ, *HDF5})
"""Endings of the files whose members are read in place."""
_MAY_GO_ON = re.compile(rf"({'|'.join(map(re.escape, sorted(ARCHIVES)))})[/\\]", re.IGNORECASE)
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_OPEN_AT_ONCE = 8
_MOST_BYTES = 2_000_000_000


class Container(Protocol):
    """A file that holds images."""

    def names(self) -> list[str]:
        """Return the members that may be images, with forward slashes."""

    def has(self, name: str) -> bool:
        """Say whether there is such a member."""

    def read(self, name: str) -> Content:
        """Read one member.

        Raises:
            KeyError: there is no such member.
        """


class _Zip:
    def __init__(self, path: str) -> None:
        self._file = zipfile.ZipFile(path)
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        names = (info.filename for info in self._file.infolist())
        return _plain(name for name in names if name and not name.endswith("/"))

    def has(self, name: str) -> bool:
        return name in self._file.NameToInfo

    def read(self, name: str) -> bytes:
        size = self._file.getinfo(name).file_size
        if size > _MOST_BYTES:  # of a few bytes in the archive, if somebody wants it
            raise ImageError(
                f"Expected an image of at most {_MOST_BYTES / 1e9:.0f} GB, but {name} has {size:,} "
                "bytes once it is unpacked; it may be a decompression bomb"
            )
        with self._lock:
            return self._file.read(name)


class _Tar:
    """A tar that is not packed: where each member begins is known after one pass."""

    def __init__(self, path: str) -> None:
        with tarfile.open(path, "r:") as tar:
            self._places = {
                member.name.removeprefix("./"): (member.offset_data, member.size)
                for member in tar
                if member.isreg() and not member.sparse
            }
        self._file = open(path, "rb")  # noqa: SIM115 - as long as the container is cached
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def names(self) -> list[str]:
        return _plain(self._places)

    def has(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> bytes:
        start, size = self._places[name]
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


def is_container(path: str | Path) -> bool:
    """Say whether a path is a file of an ending whose members are read in place."""
    return os.path.splitext(path)[1].lower() in ARCHIVES and os.path.isfile(path)


def expect_unpacked(path: str | Path) -> None:
    """Refuse an archive that has to be unpacked as a whole to read one member.

    Raises:
        ImageError: it is one.
    """
    if str(path).lower().endswith(_PACKED):
        raise ImageError(
            f"Expected an archive whose members can be read in place, but got {path}, which is "
            "packed as a whole; unpack it, or make it a .zip or a plain .tar"
        )


def members(path: str | Path) -> list[str]:
    """Return the members of a container that may be images, sorted, without litter.

    Raises:
        ImageError: it cannot be opened.
    """
    return sorted(_container(os.fspath(path)).names(), key=lambda name: name.split("/"))


def members_below(path: str | Path) -> list[str] | None:
    """Return the paths of the members of a container, or of a folder in one; None if it is neither.

    Raises:
        ImageError: the container cannot be opened.
    """
    outer, inner = (os.fspath(path), "") if is_container(path) else split_member(path) or ("", "")
    if not outer:
        return None
    start = f"{inner}/" if inner else ""
    found = [f"{outer}/{name}" for name in members(outer) if name.startswith(start)]
    return found or (None if inner else [])


def split_member(path: str | Path) -> tuple[str, str] | None:
    """Return the container and the member that a path goes on to, or None for a plain path."""
    text = os.fspath(path)
    if not _MAY_GO_ON.search(text):
        return None
    parts = PurePosixPath(text.replace(os.sep, "/")).parts
    for i, part in enumerate(parts[:-1], start=1):
        if os.path.splitext(part)[1].lower() in ARCHIVES:
            outer = os.path.join(*parts[:i])
            if os.path.isfile(outer):
                return outer, "/".join(parts[i:])
    return None


def has_file(path: str | Path) -> bool:
    """Say whether there is a file at a path, or a member of a container."""
    MIRROR.look_up(path)
    if os.path.isfile(path):
        return True
    place = split_member(path)
    try:
        return place is not None and _container(place[0]).has(place[1])
    except ImageError:
        return False


def read_content(path: str | Path) -> Content:
    """Read a file, or a member of a container.

    Raises:
        OSError: there is nothing, or it cannot be read.
        ImageError: the container cannot be opened, or has no such member.
    """
    MIRROR.look_up(path)
    place = split_member(path)
    if place is None:
        with MIRROR.kept(path):
            return Path(path).read_bytes()
    container = _container(place[0])
    try:
        return container.read(place[1])
    except KeyError:
        raise ImageError(f"Expected {place[1]} in {place[0]}, but it holds no such image") from None
    except ImageError:
        raise
    except Exception as err:  # damaged, or encrypted
        raise ImageError(
            f"Expected to read {place[1]} in {place[0]}, but: {one_line(err)}"
        ) from None


def content_bytes(content: Content) -> bytes:
    """Return what a content's hash is of: its bytes, or those of its pixels."""
    return content if isinstance(content, bytes) else content.tobytes()


def file_facts(path: str | Path) -> tuple[int, int]:
    """Return the size in bytes and the time of the last change (ns) of a file.

    Of a member they are those of its container.

    Raises:
        OSError: there is nothing.
    """
    place = split_member(path)
    facts = os.stat(path if place is None else place[0])
    return facts.st_size, facts.st_mtime_ns


def _plain(names: Any) -> list[str]:
    return [name for name in names if not any(map(is_litter, name.split("/")))]


def _container(path: str) -> Container:
    try:
        facts = os.stat(path)
    except OSError as err:
        raise ImageError(f"Expected a file at {path}, but got: {one_line(err)}") from None
    return _opened(os.path.abspath(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _opened(path: str, size: int, mtime_ns: int) -> Container:
    """Open a container once; one that was replaced since is another."""
    kind = os.path.splitext(path)[1].lower()
    try:
        MIRROR.fetch(path)
        if kind in HDF5:
            from xattn.images.hdf5 import Hdf5

            return Hdf5(path)
        if kind == NPZ:
            from xattn.images.npz import Npz

            return Npz(path)
        return _Zip(path) if kind == ".zip" else _Tar(path)
    except (ImageError, AddressError):
        raise
    except Exception as err:  # a damaged file; each library raises its own
        raise ImageError(
            f"Expected an archive of images in {path}, but opening it failed: {one_line(err)}"
        ) from None
