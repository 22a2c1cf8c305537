"""What can be chosen by name, and how more of it is added: one idiom for all kinds.

    METHODS: Registry[Method] = Registry("method", package="xattn.attribution.methods")

    METHODS.add("gradcam", GradCAM())      # or, on a function: @METHODS.register("gradcam")
    METHODS.find("gradcm")                 # UsageError: Unknown method 'gradcm'; did you mean ...

A file that lies in the package of a registry is found without being listed anywhere. Files from
elsewhere register the same way: packages by the entry point `xattn.plugins`, a single file by
`xattn --plugin FILE` (see `xattn.plugins`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from threading import RLock
from typing import TypeVar

from xattn.errors import UsageError, near
from xattn.plugins import load_installed

T = TypeVar("T")
F = TypeVar("F")

_LOCK = RLock()
"""Held while modules are imported: two threads that look up see the same, whole registry."""


class Registry(MutableMapping[str, T]):
    """A mapping of names to what they stand for, filled when it is first looked at.

    Args:
        kind: what the names are names of, for messages: "method".
        package: its modules are imported before the first look; "" if there is none.
        first: modules of the package, by their last name, that come first, in this order; the
            others follow in alphabetical order.
    """

    def __init__(self, kind: str, *, package: str = "", first: Sequence[str] = ()) -> None:
        self.kind = kind
        self._package = package
        self._first = tuple(first)
        self._known: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, value: T) -> T:
        """Register a value under a name, and return it.

        Raises:
            UsageError: the name is taken.
        """
        if name in self._known:
            raise UsageError(
                f"Expected a new name for a {self.kind}, but got {name!r}, which is registered"
            )
        self._known[name] = value
        return value

    def register(self, name: str, make: Callable[[F], T]) -> Callable[[F], F]:
        """Return a decorator that registers what `make` makes of the decorated, and leaves it.

        Args:
            name: of the new entry.
            make: from the decorated function or class to the registered value.
        """

        def decorate(decorated: F) -> F:
            self.add(name, make(decorated))
            return decorated

        return decorate

    def find(self, name: str) -> T:
        """Return what a name stands for.

        Raises:
            UsageError: nothing has this name; the message gives names that are close.
        """
        self._load()
        if name not in self._known:
            raise UsageError(f"Unknown {self.kind} {name!r}{near(name, self._known)}")
        return self._known[name]

    def __getitem__(self, name: str) -> T:
        self._load()
        return self._known[name]

    def __setitem__(self, name: str, value: T) -> None:
        self._load()
        self._known[name] = value

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(dict(self._known))

    def __len__(self) -> int:
        self._load()
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._known

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}, {', '.join(self._known) or 'nothing yet'})"

    def _load(self) -> None:
        with _LOCK:
            if self._loaded:
                return
            self._loaded = True  # its modules look at it while they are imported
            try:
                for module in self._modules():
                    importlib.import_module(module)
                load_installed()
            except BaseException:
                self._loaded = False
                raise

    def _modules(self) -> list[str]:
        if not self._package:
            return []
        home = importlib.import_module(self._package)
        found = sorted(one.name for one in pkgutil.iter_modules(home.__path__))
        rest = [name for name in found if name not in self._first and not name.startswith("_")]
        return [f"{self._package}.{name}" for name in (*self._first, *rest)]
