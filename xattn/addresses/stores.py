"""A store, by fsspec: listing, reading, writing, each refusal one line."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import has_magic
from typing import Any

from xattn.addresses.address import Address
from xattn.addresses.failures import NoObjectError, asking, missing_library

_TIMES = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")
_MARKS = ("ETag", "etag", "md5Hash", "md5", "generation", "checksum")
_HADOOP = "_$folder$"
_AT_ONCE = 500
"""Names that one request takes away."""


@dataclass(frozen=True)
class Facts:
    """What a listing says of an object.

    Attributes:
        size: in bytes.
        mtime_ns: time of its last change; below the second, a hash of what else tells versions
            apart (the etag), which stores count in whole seconds.
    """

    size: int
    mtime_ns: int


class Store:
    """What lies under one bucket or host, by address.

    Args:
        address: any in it, with its credentials.

    Raises:
        UsageError: nothing installed can read its protocol.
    """

    def __init__(self, address: Address) -> None:
        self.protocol, self.host = address.protocol, address.host
        self._queries: dict[str, str] = {}
        try:
            import fsspec

            kind: Any = fsspec.get_filesystem_class(address.protocol)
        except (ImportError, ValueError) as err:
            raise missing_library(address.protocol, err) from None
        self._kind = kind
        with asking(address, "reach"):
            options = {**kind._get_kwargs_from_urls(str(address)), **address.options}
            self.fs = kind(**options, skip_instance_cache=True)

    def note(self, address: Address) -> None:
        """Keep what followed a web address, which belongs to it and is not shown."""
        if address.query:
            self._queries[str(address)] = address.query

    def key(self, address: Address) -> str:
        """Return what fsspec calls the place."""
        text = str(address) + self._queries.get(str(address), "")
        if self.protocol == "memory":
            return "/" + "/".join(address.parts)
        return "/".join(address.parts) if self.protocol in ("s3", "gs") else str(
            self._kind._strip_protocol(text)
        )  # fmt: skip

    def facts(self, address: Address) -> Facts | None:
        """Return what is known of the object at an address; None if there is no object."""
        try:
            with asking(address, "read"):
                self.fs.invalidate_cache()  # another machine may have written since
                found = self.fs.info(self.key(address))
        except NoObjectError:
            return None
        return None if found.get("type") == "directory" else _facts(found)

    def below(self, address: Address, deep: bool = True) -> dict[str, Facts] | None:
        """Return the objects below an address by the rest of their names; None if none.

        Objects that stand for a folder are left out, an empty result says that there are such.

        Args:
            address: of the folder.
            deep: with those of folders in it.
        """
        key = self.key(address)
        try:
            with asking(address, "list"):
                self.fs.invalidate_cache()
                if deep:
                    found: Mapping[str, Any] = self.fs.find(key, detail=True)
                else:
                    found = {one["name"]: one for one in self.fs.ls(key, detail=True)}
        except NoObjectError:
            return None
        inside: dict[str, Facts] = {}
        for name, one in found.items():
            rest = str(name).removeprefix(key)
            if rest[:1] != "/" or one.get("type") == "directory":
                continue
            rest = rest[1:]
            if rest and not rest.endswith("/") and not (one["size"] == 0 and _HADOOP in rest):
                inside[rest] = _facts(one)
        if inside or found or len(address.parts) == 1:
            return inside
        with asking(address, "list"):
            return {} if self.fs.exists(key) and not self.fs.isfile(key) else None

    def read(self, address: Address, start: int | None = None, end: int | None = None) -> bytes:
        """Read an object, or some of its bytes.

        Raises:
            NoObjectError: there is none.
        """
        with asking(address, "read"):
            return bytes(self.fs.cat_file(self.key(address), start=start, end=end))

    def fetch(self, address: Address, path: str) -> None:
        """Read an object into a file.

        Raises:
            NoObjectError: there is none.
        """
        with asking(address, "read"):
            self.fs.get_file(self.key(address), path)

    def put(self, pairs: Sequence[tuple[str, Address]]) -> None:
        """Write files to addresses, several at once where the store can."""
        if not pairs:
            return
        with asking(pairs[0][1], "write"):
            self.fs.put([path for path, _ in pairs], [self.key(to) for _, to in pairs])

    def write(self, address: Address, content: bytes, *, new: bool = False) -> None:
        """Write an object.

        Args:
            address: of it.
            content: of it.
            new: there may be none yet; where the store knows such a condition, that is certain.

        Raises:
            FileExistsError: there is one.
        """
        key = self.key(address)
        with asking(address, "write"):
            if not new:
                self.fs.pipe_file(key, content)
                return
            try:
                self.fs.pipe_file(key, content, mode="create")
            except (TypeError, NotImplementedError, ValueError):
                # How fsspec's protocols say that they know no mode; then the next best.
                if self.fs.exists(key):
                    raise FileExistsError(str(address)) from None
                self.fs.pipe_file(key, content)

    def remove(self, addresses: Iterable[Address]) -> None:
        """Take objects away; those that are gone already do not matter."""
        keys = {self.key(one): one for one in addresses}
        plain = [key for key in keys if not has_magic(key)]
        # Several at once are taken for patterns.
        parts = [[key] for key in keys if has_magic(key)]
        parts += [plain[start : start + _AT_ONCE] for start in range(0, len(plain), _AT_ONCE)]
        for part in parts:
            with suppress(NoObjectError), asking(keys[part[0]], "delete"):
                if len(part) == 1:
                    self.fs.rm_file(part[0])
                else:
                    self.fs.rm(part)


_stores: dict[tuple[str, str], Store] = {}
_changing = threading.Lock()


def open_store(address: Address) -> Store:
    """Return the store that an address which a user named lies in.

    Raises:
        UsageError: nothing installed can read its protocol.
        AddressError: it cannot be reached.
    """
    place = (address.protocol, address.host)
    with _changing:
        if place not in _stores or address.options:
            _stores[place] = Store(address)
        _stores[place].note(address)
        return _stores[place]


def opened_store(address: Address) -> Store | None:
    """Return the store of an address if a user named one in it: a record alone opens none."""
    return _stores.get((address.protocol, address.host))


def _facts(found: Mapping[str, Any]) -> Facts:
    when = next((found[name] for name in _TIMES if found.get(name) is not None), None)
    mark = next((str(found[name]) for name in _MARKS if found.get(name)), "")
    apart = int(hashlib.sha256(f"{mark} {when}".encode()).hexdigest()[:12], 16)
    return Facts(int(found.get("size") or 0), _seconds(when) * 10**9 + apart % 10**9)


def _seconds(when: Any) -> int:
    if isinstance(when, str):
        try:
            when = dt.datetime.fromisoformat(when)
        except ValueError:
            return 0
    if isinstance(when, dt.datetime):
        return int(when.timestamp())
    return int(when) if isinstance(when, int | float) else 0
