"""Text, JSON and TOML files in; whatever they hold, what is wrong with them is one line.

Parsers raise many things on files that nobody wrote by hand: a nesting of a thousand brackets ends
in a RecursionError, a number of five thousand digits in a ValueError. All readers go through here.
"""

from __future__ import annotations

import codecs
import json
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xattn.errors import XattnError, one_line

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes, *, guess: bool = False) -> tuple[str, str]:
    """Return the text of a file's bytes and its encoding: by its mark, else UTF-8.

    >>> decode_text("größe".encode("cp1252"), guess=True)
    ('größe', 'cp1252')

    Args:
        data: the whole file.
        guess: bytes without a mark that are no UTF-8 are taken as those of a program that writes
            one byte a letter (cp1252, or latin-1 where they use what cp1252 leaves open), or as
            UTF-16 if every second byte is zero.

    Raises:
        UnicodeError: the bytes are none of these.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding), encoding
    if guess and b"\0" in data[:1000]:
        little = data[1:1000:2].count(0) >= data[:1000:2].count(0)
        encoding = "utf-16-le" if little else "utf-16-be"
        return data.decode(encoding), encoding
    for encoding in ("utf-8", "cp1252") if guess else ():
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return (data.decode("latin-1"), "latin-1") if guess else (data.decode("utf-8"), "utf-8")


def read_json(path: str | Path, what: str = "JSON", error: type[XattnError] = XattnError) -> Any:
    """Read a JSON file; a key that stands twice in one object is an error.

    Args:
        path: the file, in UTF-8, or in UTF-16 or UTF-32 with their marks.
        what: it should be, for the message: "the record of a run".
        error: the class to raise.

    Raises:
        XattnError: of that class; the file is missing, no text or no JSON.
    """
    return parse_json(_read(path, what, error), str(path), error)


def parse_json(content: str | bytes, source: str, error: type[XattnError] = XattnError) -> Any:
    """Return the content of a JSON text.

    Raises:
        XattnError: of the class `error`, naming the source; the text is no JSON.
    """

    def parse(text: str) -> Any:
        return json.loads(text, object_pairs_hook=_object)

    return _parse(parse, content, "JSON", source, error)


def read_toml(
    path: str | Path, what: str = "TOML", error: type[XattnError] = XattnError
) -> dict[str, Any]:
    """Read a TOML file; arguments and errors as `read_json`."""

    def parse(text: str) -> Any:
        return tomllib.loads(text.replace("\r\n", "\n"))

    found: dict[str, Any] = _parse(parse, _read(path, what, error), "TOML", str(path), error)
    return found


def _read(path: str | Path, what: str, error: type[XattnError]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as err:
        raise error(f"Expected {what} at {path}, but got: {one_line(err)}") from None


def _parse(
    parse: Callable[[str], Any],
    content: str | bytes,
    kind: str,
    source: str,
    error: type[XattnError],
) -> Any:
    try:
        return parse(content if isinstance(content, str) else decode_text(content)[0])
    except RecursionError:
        why = "brackets nested too deep"
    except (ValueError, MemoryError) as err:
        why = one_line(err)
    raise error(f"Expected {kind} in {source}, but got: {why}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} twice in one object")
    return content
