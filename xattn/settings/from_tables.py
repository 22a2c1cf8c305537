"""Settings from the tables of a TOML file: keys are the fields of a settings class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from xattn.errors import UsageError, XattnError, near
from xattn.settings.declare import PATHS, Option, Settings, moved

S = TypeVar("S", bound=Settings)

_SWITCH, _NUMBER, _INTEGER = "switch", "number", "integer"


def settings_from(kind: type[S], values: Any, place: str, under: str = "") -> S:
    """Make settings of a table, as TOML is read.

    Args:
        kind: the class; its fields are the keys of the table.
        values: key -> value.
        place: names the table in messages, such as "[explain] in study.toml".
        under: folder that relative paths in the table are relative to.

    Raises:
        XattnError: a key is unknown, or a value is none that the field takes.
    """
    if not isinstance(values, Mapping):
        raise XattnError(f"Expected a table as {place}, but got {values!r}")
    known = kind.options()
    for name, value in values.items():
        if name not in known:
            raise XattnError(
                f"Expected keys that are known in {place}, but got {name!r}{near(name, known)}"
            )
        if wanted := _wanted(known[name], value):
            raise XattnError(f"Expected {wanted} as {name} in {place}, but got {value!r}")
    try:
        return kind(**{name: _read(value, known[name], under) for name, value in values.items()})
    except UsageError as err:
        raise XattnError(f"{err}, in {place}") from None


def _wanted(option: Option, value: Any) -> str:
    """Return what a value should be, "" if it is that."""
    if option.kind == _SWITCH:
        return "" if isinstance(value, bool) else "true or false"
    if option.kind == "size":
        pair = isinstance(value, list) and len(value) == 2 and all(_is_integer(v) for v in value)
        return "" if pair else "[height, width] in pixels"
    many = option.several or option.kind == "names"
    one_by_one = value if many and isinstance(value, list) else [value]
    if option.kind in (_INTEGER, _NUMBER):
        right = all(
            _is_integer(one) or (option.kind == _NUMBER and isinstance(one, float))
            for one in one_by_one
        )
        word = "a whole number" if option.kind == _INTEGER else "a number"
        return "" if right and all(_inside(one, option) for one in one_by_one) else (
            word + _range(option)
        )  # fmt: skip
    if all(isinstance(one, str) or (many and _is_integer(one)) for one in one_by_one):
        return ""
    return "a text or a list of texts" if many else "a text"


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _inside(value: float, option: Option) -> bool:
    low, high = option.low, option.high
    if option.open:
        return (low is None or value > low) and (high is None or value < high)
    return (low is None or value >= low) and (high is None or value <= high)


def _range(option: Option) -> str:
    if option.low is not None and option.high is not None:
        return f" from {option.low:g} to {option.high:g}" + " (ends left out)" * option.open
    return f" of at least {option.low:g}" if option.low is not None else ""


def _read(value: Any, option: Option, under: str) -> Any:
    if isinstance(value, list):
        return tuple(_read(one, option, under) for one in value)
    return moved(value, under) if option.kind in PATHS else value
