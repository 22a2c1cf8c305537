"""Files of addresses in the scratch folder: placeholders, filled in when Python opens them.

A listing makes a placeholder of each object: a file of its size and time that takes no room. What
Python opens is fetched first (`sys.addaudithook`); libraries that open files by themselves are
preceded by `fetch`. Of images, maps and overlays no more is kept than `XATTN_SCRATCH_MB`: those
that were read longest ago become placeholders again.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xattn.addresses import scratch
from xattn.addresses.address import Address
from xattn.addresses.failures import AddressError
from xattn.addresses.on_disk import Gone, file_at, make_parents
from xattn.addresses.room import Room
from xattn.addresses.stores import Facts, Store, opened_store

_ALWAYS_KEPT = (".json", ".toml", ".csv", ".tsv", ".txt", ".parquet", ".pt", ".pth", ".ckpt")
"""Endings of single files that are read again and again, some of them by libraries."""
PROGRESS = ".progress"
"""Folder of what is going on, in a folder that a command writes."""
DONE = ".progress-done"
"""Says that what lies in it is in the tables, and is being taken away."""
_SETTLING = 0.5
"""Seconds between the fetch of a file and its opening, at most."""


class Mirror:
    """What is known of objects, by the path that stands for each."""

    def __init__(self) -> None:
        self.known: dict[str, Facts] = {}
        """As each was when it was last listed, fetched or written; of times, the local file's."""
        self._empty: set[str] = set()
        self._left_over: dict[str, list[str]] = {}
        self._listed: set[str] = set()
        self._turn = threading.Condition()
        self._busy: set[str] = set()
        self._room = Room()
        self._hooked = False

    def list_folder(self, address: Address, *, deep: bool) -> bool:
        """Make placeholders of what lies below an address; False if nothing does.

        Args:
            address: in a store that is open.
            deep: with what lies in its folders.

        Raises:
            AddressError: the store refuses.
        """
        store = self._store(address)
        found = store.below(address, deep)
        if found is None:
            return False
        top = scratch.path_of(address)
        self._hook()
        top.mkdir(parents=True, exist_ok=True)
        with self._turn:
            self._listed.add(str(top))
            gone = Gone(self.known, str(top), deep)
            if DONE in found:  # a command was killed while it took its progress away
                left = [name for name in found if name.startswith(PROGRESS) or name == DONE]
                self._left_over[str(top)] = left
                found = {name: one for name, one in found.items() if name not in left}
            for name, facts in found.items():
                parts = name.split("/")
                if "" in parts or {".", ".."} & set(parts) or "\0" in name:
                    continue  # no path: it cannot be named here
                path = os.path.join(top, *parts)
                gone.still_there(path)
                self.place(path, facts)
                if deep:
                    self._listed.add(os.path.dirname(path))
            for path in gone.paths():
                if self.clean(path):
                    os.unlink(path)
                self.known.pop(path, None)
                self._empty.discard(path)
        return True

    def place(self, path: str, facts: Facts) -> None:
        """Make a placeholder, unless the same is there or something of our own."""
        self._hook()
        there = file_at(path)
        if there is not None:
            if path not in self.known or not self.clean(path) or self.known[path] == facts:
                return
        elif not make_parents(path):
            return
        self._hollow(path, facts)

    def _hollow(self, path: str, facts: Facts) -> None:
        blank = f"{path}.{threading.get_ident()}.blank"
        try:
            with open(blank, "wb") as file:
                file.truncate(facts.size)
        except OSError as err:
            if err.errno == errno.ENAMETOOLONG:  # a key may be longer than any name on a disk
                return
            raise
        os.utime(blank, ns=(facts.mtime_ns, facts.mtime_ns))
        os.replace(blank, path)  # whoever has the old one open reads on
        self.known[path] = facts
        self._room.forget(path)
        if facts.size:
            self._empty.add(path)
        else:
            self._empty.discard(path)

    @property
    def used(self) -> bool:
        """Whether any address was named yet."""
        return self._hooked

    def left_over(self, top: str) -> list[str]:
        """Return, and forget, objects below a folder that a command was about to take away."""
        with self._turn:
            return self._left_over.pop(top, [])

    def clean(self, path: str) -> bool:
        """Say whether a file is as its store knows it."""
        there = file_at(path)
        return there is not None and Facts(there.st_size, there.st_mtime_ns) == self.known.get(path)

    def hollow(self, path: str) -> bool:
        """Say whether a path is that of a placeholder, and not of what was put in its place."""
        if path not in self._empty:
            return False
        if self.clean(path):
            return True
        self._empty.discard(path)
        return False

    def written(self, path: str, facts: Facts) -> None:
        """Note that a file has gone up as it was when it had this size and time."""
        with self._turn:
            self.known[path] = facts
            self._empty.discard(path)

    def forgotten(self, path: str) -> None:
        """Note that an object was taken away."""
        with self._turn:
            self.known.pop(path, None)

    def fetch(self, path: str | os.PathLike[str]) -> None:
        """Fill in the placeholder at a path, if there is one.

        Raises:
            AddressError: the store refuses.
            FileNotFoundError: the object has gone since it was listed, or is another.
        """
        text = os.path.normpath(os.fspath(path))
        if not self.hollow(text):
            return
        with self._turn:
            while text in self._busy:
                self._turn.wait()
            if not self.hollow(text):
                return
            self._busy.add(text)
        part = f"{text}.{threading.get_ident()}.fetch"
        try:
            self._fill(text, part)
        finally:
            if os.path.lexists(part):
                os.unlink(part)
            with self._turn:
                self._busy.discard(text)
                self._turn.notify_all()

    def fetch_in(self, path: str | os.PathLike[str]) -> None:
        """Fill in a placeholder, or all that lie in a folder itself, for what opens files alone."""
        text = os.path.normpath(os.fspath(path))
        for one in [one for one in self._empty if one == text or os.path.dirname(one) == text]:
            self.fetch(one)

    def _fill(self, text: str, part: str) -> None:
        address = scratch.address_at(text)
        if address is None:
            return
        facts = self.known[text]
        reserved = facts.size
        bounded = not text.lower().endswith(_ALWAYS_KEPT)
        if bounded:
            self._room.make(reserved, _SETTLING, self._let_go)
        try:
            store = self._store(address)
            store.fetch(address, part)
            size = os.path.getsize(part)
            if size != facts.size:  # it was replaced since it was listed
                facts = store.facts(address) or facts
                if size != facts.size:
                    raise AddressError(f"Expected {address} whole, but it changes while it is read")
            os.utime(part, ns=(facts.mtime_ns, facts.mtime_ns))
            os.replace(part, text)
        except BaseException:
            if bounded:
                self._room.gave_up(reserved)
            raise
        with self._turn:
            self.known[text] = facts
            self._empty.discard(text)
        if bounded:
            self._room.took(text, reserved)

    def _let_go(self, path: str) -> None:
        if self.clean(path):
            self._hollow(path, self.known[path])

    @contextmanager
    def kept(self, path: str | os.PathLike[str]) -> Iterator[None]:
        """Fetch a file and keep it for the block; it may go at once after it."""
        if not self._hooked:
            yield
            return
        text = os.path.normpath(os.fspath(path))
        with self._room.pinned(text):
            self.fetch(text)
            yield

    def look_up(self, path: str | os.PathLike[str]) -> None:
        """List the folder of a path, once, if its store is open and it was not listed yet."""
        if not self._hooked:
            return
        text = os.path.normpath(os.fspath(path))
        folder = os.path.dirname(text)
        if folder in self._listed or os.path.lexists(text):
            return
        address = scratch.address_at(folder)
        if address is None or not address.parts or opened_store(address) is None:
            return
        with self._turn:
            self._listed.add(folder)
        self.list_folder(address, deep=False)

    def peek(self, path: str, most: int) -> bytes | None:
        """Read the first bytes of an object that was not fetched; None for any other file."""
        text = os.path.normpath(path)
        if not self.hollow(text):
            return None
        address = scratch.address_at(text)
        return None if address is None else self._store(address).read(address, 0, most)

    def _store(self, address: Address) -> Store:
        store = opened_store(address)
        if store is None:
            raise AddressError(f"Expected {address} to be in a bucket that was named")
        return store

    def _hook(self) -> None:
        if self._hooked:
            return
        self._hooked = True
        scratch.root()
        sys.addaudithook(self._opening)

    def _opening(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not self._empty:
            return
        path, mode, flags = args
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str | os.PathLike):
            return
        anew = flags & os.O_TRUNC if mode is None else str(mode)[:1] in "wx"
        text = os.fspath(path)
        if not anew and isinstance(text, str) and os.path.normpath(text) in self._empty:
            self.fetch(text)


MIRROR = Mirror()
