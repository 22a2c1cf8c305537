"""Methods with options: `attention[layer=3,head=1]`, as they are typed and stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from xattn.errors import UsageError, near

_WITH_OPTIONS = re.compile(r"([^\[\]@]+)\[([^\[\]@]*)\]")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def split_options(name: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a method's name from its options; without `[...]` there are none.

    Returns:
        The plain name, and (option, value) as they are typed, "" for a value that is missing.
    """
    found = _WITH_OPTIONS.fullmatch(name)
    if found is None:
        return name, []
    parts = [part.partition("=") for part in found[2].split(",")]
    return found[1], [(key.strip(), value.strip()) for key, _, value in parts]


def join_options(name: str, options: Mapping[str, Any]) -> str:
    """Return the name under which maps of a method with these options are stored."""
    parts = [f"{key}={value}" for key, value in options.items()]
    return f"{name}[{','.join(parts)}]" if parts else name


def read_options(kind: type, name: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read options as the types of a dataclass's fields say.

    Args:
        kind: the dataclass.
        name: of the method, for messages.
        given: (option, value) as they are typed.

    Raises:
        UsageError: an option is unknown, there twice, without a value, or of another type.
    """
    known = [field.name for field in fields(kind)]
    types = get_type_hints(kind)
    read: dict[str, Any] = {}
    for key, text in given:
        if key not in known:
            raise UsageError(f"Unknown option {key!r} of method {name!r}{near(key, known)}")
        if not text or key in read:
            raise UsageError(
                f"Expected {key}=VALUE once in the brackets of method {name!r}, but got "
                f"{', '.join('='.join(one).rstrip('=') for one in given)}; such as {name}[{key}=3]"
            )
        read[key] = _read_value(types[key], name, key, text)
    return read


def _read_value(kind: Any, name: str, key: str, text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_strings(text)
    except ValidationError:
        raise UsageError(
            f"Expected {_in_words(kind)} as {key} of method {name!r}, but got {text!r}"
        ) from None


def _in_words(kind: Any) -> str:
    """Say what values a type has: "a whole number or 'all'"."""
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    parts = [part for part in get_args(kind) if part is not NoneType]
    return " or ".join(map(_in_words, parts)) or _WORDS.get(kind, str(kind))
