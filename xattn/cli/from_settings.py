"""From settings classes to the options of a command, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import rich_click as click

from xattn.cli.value_types import FILE, PLACE, Colours, Names, Size, Window
from xattn.settings import Option, Settings

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=Settings)

_TYPES: dict[str, Any] = {
    "text": None,
    "path": PLACE,
    "file": FILE,
    "names": Names(),
    "size": Size(),
    "colours": Colours(),
    "scales": Colours(positive=True),
    "window": Window(),
}


def options_of(
    kind: type[Settings], only: Collection[str] = (), without: Collection[str] = ()
) -> Callable[[F], F]:
    """Add the options of a settings class to a command, in the order of its fields.

    Args:
        kind: the class.
        only: fields to add; all if empty.
        without: fields to leave out.
    """

    def add(function: F) -> F:
        for name in reversed(_names(kind, only, without)):
            function = _decorator(name, kind.options()[name], getattr(kind, name))(function)
        return function

    return add


def taken(kind: type[S], values: Mapping[str, Any], **more: Any) -> S:
    """Make settings of a command's values.

    Args:
        kind: the class.
        values: of the command's parameters, by name.
        more: values of fields that the command has no option for.
    """
    given = {
        name: values[option.dest or name]
        for name, option in kind.options().items()
        if option.flags and (option.dest or name) in values
    }
    # An option that may be repeated and is not given is an empty tuple.
    kept = {name: value for name, value in given.items() if value != ()}
    return kind(**kept, **more)


def shared(kind: type[S], settings: Settings, **more: Any) -> S:
    """Make settings of the fields that another class has too."""
    known = kind.options()
    same = {name: getattr(settings, name) for name in settings.options() if name in known}
    return kind(**{**same, **more})


def _names(kind: type[Settings], only: Collection[str], without: Collection[str]) -> list[str]:
    known = kind.options()
    if unknown := {*only, *without} - set(known):
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return [
        name
        for name, option in known.items()
        if option.flags and (name in only or not only) and name not in without
    ]


def _decorator(name: str, option: Option, default: Any) -> Callable[[F], F]:
    facts: dict[str, Any] = {"help": option.help, "required": option.required}
    if option.kind == "switch":
        # A field that is true by default has a flag that says no.
        facts |= {"is_flag": True, "flag_value": not default, "default": default}
    else:
        facts |= {"type": _type_of(option), "multiple": option.several, "metavar": option.metavar}
        if option.alone is not None:
            facts |= {"is_flag": False, "flag_value": option.alone}
        if default is not None:
            shown = not option.several or len(default) > 0
            facts |= {"default": default, "show_default": shown}
    made: Callable[[F], F] = click.option(*option.flags, option.dest or name, **facts)
    return made


def _type_of(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind not in ("integer", "number"):
        return _TYPES[option.kind]
    if option.low is None and option.high is None:
        return int if option.kind == "integer" else float
    if option.kind == "integer":
        low, high = (None if v is None else int(v) for v in (option.low, option.high))
        return click.IntRange(low, high)
    return click.FloatRange(option.low, option.high, option.open, option.open)
