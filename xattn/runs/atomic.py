"""Texts and JSON that are either wholly there or not at all; other files by `disk.replacing`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xattn import errors
from xattn._version import __version__
from xattn.disk import replacing
from xattn.documents import read_json
from xattn.errors import RunError, XattnError

CHECKSUM = "checksum"
_WAY_OUT = "put a copy back, or repeat the command that wrote it in another folder"
_SCHEMA = re.compile(r"(xattn-[\w-]+)/(\d{1,9})")
_VERSION = 1
"""Of the form of every record; a form that this version could not read has a higher one."""


def write_text(path: Path, text: str, *, shared: bool = False) -> str:
    """Write a file whole or not at all; return the SHA-256 of its bytes.

    `shared` as in `replacing`: several processes may write it at the same time.
    """
    text = errors.shown(text)
    data = text.encode("utf-8")
    with replacing(path, shared=shared) as scratch:
        scratch.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_json(path: Path, facts: Mapping[str, Any], *, shared: bool = False) -> None:
    """Write a record whole or not at all, last its checksum; a number that is none becomes null."""
    plain = _plain(facts)
    write_text(path, _text({**plain, CHECKSUM: _checksum(plain)}) + "\n", shared=shared)


def read_record(
    path: Path, what: str = "a record", error: type[XattnError] = RunError
) -> dict[str, Any]:
    """Read what `write_json` wrote, without its checksum; one that has none is taken as it is.

    Raises:
        XattnError: of the class `error`; it is missing, no JSON object, damaged, or of a later
            version, which is named.
    """
    try:
        facts = read_json(path, what, error)
    except error as err:
        raise error(f"{err}; {_WAY_OUT}") from None
    if not isinstance(facts, dict):
        raise error(f"Expected a JSON object in {path}, but got {type(facts).__name__}; {_WAY_OUT}")
    _require_known(facts, path, error)
    known = facts.pop(CHECKSUM, None)
    if known is not None and known != _checksum(facts):
        raise error(
            f"Expected {what} in {path} as it was written, but it was changed or damaged since; "
            f"{_WAY_OUT} (if it was changed on purpose, take its last entry away, {CHECKSUM!r})"
        )
    return facts


def has_checksum(path: Path) -> bool:
    """Say whether a record that can be read holds a checksum, as those of today do."""
    return CHECKSUM in read_json(path, "a record", RunError)


def _require_known(facts: Mapping[str, Any], path: Path, error: type[XattnError]) -> None:
    """Refuse what a later version wrote in another form."""
    schema = _SCHEMA.fullmatch(str(facts.get("schema", "")))
    if schema is not None and int(schema[2]) > _VERSION:
        made = facts.get("versions")
        by = f" by xattn {made['xattn']}" if isinstance(made, dict) and "xattn" in made else ""
        raise error(
            f"Expected {schema[1]}/{_VERSION} in {path}, but got {schema[0]}, written{by}"
            f"; read it with that version (this is {__version__})"
        )


def _checksum(facts: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(_text(facts).encode()).hexdigest()


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return errors.shown(
            value
        )  # no record has the scratch path of an address, or its credentials
    return None if isinstance(value, float) and not math.isfinite(value) else value
