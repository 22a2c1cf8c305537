"""What can be chosen by name, and how more of it is added: one idiom for all kinds.

    DETECTORS: Registry[Detector] = Registry("detector", package="xattn.features.detected")

    @detector("ruler", source="...")  # every kind has such a decorator, made of `register`
    def ruler(image): ...

    DETECTORS.find("rulr")  # UsageError: Unknown detector 'rulr'; did you mean 'ruler'?

The decorators of all kinds read alike: the name first, everything else by keyword, and the
`meaning` of an entry is the first line of its docstring unless it is given.

A file that lies in the package of a registry is found without being listed anywhere. Files from
elsewhere register the same way: packages by the entry point `xattn.plugins`, a single file by
`xattn --plugin FILE` (see `xattn.plugins`). How each kind is added: docs/extending.md.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from threading import RLock
from types import FrameType, ModuleType
from typing import Any, TypeVar

from xattn.errors import UsageError, near
from xattn.plugins import load_installed

T = TypeVar("T")
F = TypeVar("F")

_LOCK = RLock()
"""Held while modules are imported: two threads that look up see the same, whole registry."""


class Registry(MutableMapping[str, T]):
    """A mapping of names to what they stand for, filled when it is first looked at.

    Entries come in the order of the package's modules, whichever was imported first, and after
    them those from elsewhere; the entries of one module in the order in which they were added.

    Args:
        kind: what the names are names of, for messages: "method".
        package: its modules are imported before the first look, but for those whose names begin
            with an underscore; "" if there is none.
        first: modules of the package, by their last name, that come first, in this order; the
            others follow in alphabetical order.
    """

    def __init__(self, kind: str, *, package: str = "", first: Sequence[str] = ()) -> None:
        self.kind = kind
        self._package = package
        self._first = tuple(first)
        self._known: dict[str, T] = {}
        self._homes: dict[str, ModuleType | None] = {}
        self._loaded = False

    def add(self, name: str, value: T) -> T:
        """Register a value under a name, and return it.

        Raises:
            UsageError: the name is taken.
        """
        first = self._homes.get(name)
        # Of a module whose import failed nothing counts: it may be imported once more.
        if name in self._known and (first is None or sys.modules.get(first.__name__) is first):
            raise UsageError(
                f"Expected a name that no other {self.kind} has, but got {name!r}, which "
                f"{first.__name__ if first else 'somebody'} registered"
            )
        self._known[name], self._homes[name] = value, _imported_module()
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
        self._homes.pop(name, None)

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
                modules = self._modules()
                for module in modules:
                    importlib.import_module(module)
                load_installed()
            except BaseException:
                self._loaded = False
                raise
            places = {module: place for place, module in enumerate(modules)}
            homes = {name: getattr(self._homes.get(name), "__name__", "") for name in self._known}
            order = sorted(homes, key=lambda name: places.get(homes[name], len(places)))
            self._known = {name: self._known[name] for name in order}

    def _modules(self) -> list[str]:
        if not self._package:
            return []
        home = importlib.import_module(self._package)
        found = sorted(one.name for one in pkgutil.iter_modules(home.__path__))
        rest = [name for name in found if name not in self._first and not name.startswith("_")]
        return [f"{self._package}.{name}" for name in (*self._first, *rest)]


def _imported_module() -> ModuleType | None:
    """Return the module that is being executed, whatever functions it has called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return None if frame is None else sys.modules.get(frame.f_globals["__name__"])


def meaning_of(decorated: Any, given: str = "") -> str:
    """Return what an entry is in one line: as given, or the first line of the docstring.

    Raises:
        UsageError: there is neither.
    """
    text = given or (getattr(decorated, "__doc__", None) or "").strip()
    if not text:
        name = getattr(decorated, "__qualname__", repr(decorated))
        raise UsageError(
            f"Expected a docstring of {name} whose first line says what it is, but got none"
        )
    return text.splitlines()[0].strip()
