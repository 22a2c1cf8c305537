"""Names and values as text: what a terminal would obey is shown instead."""

from __future__ import annotations

import unicodedata

from xattn import errors

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """Write out what is no letter: control characters, changes of direction, halves of pairs.

    >>> visible("a\\x1b[31m\\tb\\u202e")
    'a\\\\x1b[31m\\\\tb\\\\u202e'
    """
    text = errors.shown(text)
    return "".join(one if _shows(one) else _written_out(one) for one in text)


def visible_lines(text: str) -> str:
    """Do so in a message of several lines, each but the first of which is indented by two."""
    return "\n  ".join(map(visible, text.split("\n  ")))


def _shows(one: str) -> bool:
    return one.isprintable() or unicodedata.category(one) == "Zs"


def _written_out(one: str) -> str:
    code = ord(one)
    return _SHORT.get(one) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
