"""Settings: what a function can be told, declared once as the fields of a frozen dataclass.

From a field follow the option of the command, the default of the Python function, the value in the
JSON record, what a run that is gone on with must share, and the words of the command that makes
the run again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from xattn.addresses.address import is_address
from xattn.errors import UsageError, near
from xattn.paths import relative_to

Kind = Literal[
    "text", "integer", "number", "switch", "path", "file", "names", "size", "colours", "scales",
    "window",
]  # fmt: skip
"""How a value is written on the command line: `switch` has none, `names` are comma-separated,
`size` is H or HxW, `colours` are R,G,B, `scales` are R,G,B above 0, `window` is LOW,HIGH or
auto."""

PATHS = ("path", "file")


@dataclass(frozen=True)
class Option:
    """How a setting is named and told on the command line.

    Attributes:
        flags: such as ("--method", "-m"); none for a setting of the Python function alone.
        help: one line.
        kind: how its value is written.
        choices: the values it may have; any if empty.
        low, high: the range of a number; `open` leaves its ends out.
        metavar: the value in the help.
        alone: the value of a flag that is given without one.
        several: may be given more than once; the value is a tuple.
        required: must be given.
        recorded: whether results may depend on it.
        identity: whether a run that is gone on with must have the same value.
        dest: name of the command's parameter, where it is another than the field's.
    """

    flags: tuple[str, ...] = ()
    help: str = ""
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    open: bool = False
    metavar: str | None = None
    alone: str | None = None
    several: bool = False
    required: bool = False
    recorded: bool = True
    identity: bool = False
    dest: str = ""


def setting(default: Any, *flags: str, **facts: Any) -> Any:
    """Declare a field of a `Settings` class.

    Args:
        default: its default.
        flags: its flags on the command line.
        facts: of its `Option`.
    """
    return field(default=default, metadata={"option": Option(flags, **facts)})


class Settings:
    """Base of the settings classes, each a frozen dataclass whose fields are `setting(...)`."""

    def __post_init__(self) -> None:
        """Bring what may be given more than once into one form, and check choices."""
        for name, option in self.options().items():
            value = getattr(self, name)
            if option.several and value is not None:
                value = (value,) if isinstance(value, str | int | os.PathLike) else tuple(value)
                value = tuple(one if option.kind in PATHS else str(one) for one in value)
            elif option.kind == "names" and value is not None:
                value = tuple(value)
            object.__setattr__(self, name, value)
            if option.choices and value is not None and value not in option.choices:
                raise UsageError(f"Unknown {name} {value!r}{near(str(value), option.choices)}")

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Return the option of each field."""
        return {one.name: one.metadata["option"] for one in _fields(cls)}

    @classmethod
    def identity(cls) -> tuple[str, ...]:
        """Return the fields that a run that is gone on with must share."""
        return tuple(name for name, option in cls.options().items() if option.identity)

    @classmethod
    def of(cls, settings: Self | None, **values: Any) -> Self:
        """Make settings of single values, unless they are given as a whole.

        Args:
            settings: the whole, or None.
            values: of the fields.

        Raises:
            UsageError: both are given, or a value is none that the field takes.
        """
        made = cls(**values)
        if settings is None:
            return made
        if not isinstance(settings, cls):
            raise UsageError(
                f"Expected settings of {cls.__name__}, but got {type(settings).__name__}"
            )
        if both := made.changed():
            raise UsageError(
                f"Expected settings as a whole or one by one, but got both: {', '.join(both)}"
            )
        return settings

    def changed(self) -> list[str]:
        """Return the names of the fields whose value is not the default."""
        return [one.name for one in _fields(self) if getattr(self, one.name) != one.default]

    def to_dict(self, base: str | Path = ".") -> dict[str, Any]:
        """Return the recorded values as plain JSON values.

        Args:
            base: folder that paths are made relative to.
        """
        return {
            name: _plain(getattr(self, name), option.kind in PATHS, Path(base))
            for name, option in self.options().items()
            if option.recorded
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], under: str | PurePosixPath = "") -> Self:
        """Rebuild settings from `to_dict`'s values; those that are not there have their default.

        Args:
            values: of a record.
            under: folder that relative paths in it are relative to.
        """
        known = cls.options()
        return cls(
            **{
                name: _read(value, known[name].kind in PATHS, under)
                for name, value in values.items()
                if name in known
            }
        )

    def words(self) -> list[str]:
        """Return the words of the command line that give these settings, defaults left out."""
        return [word for word, _ in self._words()]

    def marked_words(self, base: str | Path) -> list[Any]:
        """Return the same for a record: what is a file or a folder as {"path": ...}.

        Args:
            base: folder that paths are made relative to.
        """
        return [{"path": relative_to(word, base)} if place else word
                for word, place in self._words()]  # fmt: skip

    def _words(self) -> list[tuple[str, bool]]:
        """Return the words, and whether each is a path."""
        options, found = self.options(), list[tuple[str, bool]]()
        for name in self.changed():
            option, value = options[name], getattr(self, name)
            if not option.flags or value is None or not option.recorded:
                continue
            flag, place = (option.flags[0], False), option.kind in PATHS
            if option.kind == "switch":
                found.append(flag)
            elif option.several:
                found += [word for one in value for word in (flag, (str(one), place))]
            else:
                found += [flag, (_written(value, option.kind), place)]
        return found

    def unsaid(self) -> list[str]:
        """Return the names of settings that are not the default and that no option gives."""
        known = self.options()
        return [name for name in self.changed() if known[name].recorded and not known[name].flags]

    def with_values(self, **values: Any) -> Self:
        """Return the same with other values."""
        return replace(self, **values)  # type: ignore[type-var]


def names(given: str | int | Sequence[str | int] | None) -> list[str]:
    """Return one name or several as a list; none of None."""
    if given is None:
        return []
    return [str(given)] if isinstance(given, str | int) else [str(one) for one in given]


def _fields(settings: Any) -> Iterable[Any]:
    return fields(settings)


def _plain(value: Any, is_path: bool, base: Path) -> Any:
    if isinstance(value, tuple):
        return [_plain(one, is_path, base) for one in value]
    if is_path and value is not None:
        return relative_to(value, base)
    return value


def _read(value: Any, is_path: bool, under: str | PurePosixPath) -> Any:
    if isinstance(value, list):
        return tuple(_read(one, is_path, under) for one in value)
    return moved(value, under) if is_path and value is not None else value


def moved(path: str, under: str | PurePosixPath) -> str:
    """Return where a file that is named from the folder `under` lies from here."""
    if is_address(path):
        return path
    return PurePosixPath(os.path.normpath(PurePosixPath(under) / path)).as_posix()


def _written(value: Any, kind: Kind) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ("x" if kind == "size" else ",").join(map(str, value))
