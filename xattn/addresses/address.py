"""What an address says: how to get there, which place, and nothing that is secret in its text."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from xattn.errors import UsageError

_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)", re.DOTALL)
_SAME = {"s3a": "s3", "gcs": "gs"}
_LOCAL = ("file", "local")
_WEB = ("http", "https")
_NAMES = ("local-dir", "hf-hub")
"""What goes before a name of a checkpoint, as timm writes it."""
_KEYS = {"s3": ("key", "secret")}


@dataclass(frozen=True)
class Address:
    """A place in a store.

    Attributes:
        protocol: such as "s3".
        parts: the bucket or host, and the folders and the name below it.
        options: credentials that stood in the text, for the store alone.
        query: what followed the name of a web page's address; may be a signature.
    """

    protocol: str
    parts: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    query: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        """Return the address without what is secret."""
        return f"{self.protocol}://{'/'.join(self.parts)}"

    @property
    def host(self) -> str:
        """The bucket or host; "" for the protocol alone."""
        return self.parts[0] if self.parts else ""


def is_address(given: Any) -> bool:
    """Say whether what was given as a path is the address of a store, or of a file by `file://`.

    A `Path` made of an address has lost one of its two slashes, and is known all the same.

    >>> [is_address(one) for one in ("s3://b/a.png", "images/", Path("s3://b"), "C:/images")]
    [True, False, True, False]
    """
    if isinstance(given, str):
        found = _TEXT.match(given)
        return found is not None and found[1] not in _NAMES
    found = _PATH.match(os.fspath(given)) if isinstance(given, os.PathLike) else None
    return found is not None and found[1] not in _NAMES


def local_file(given: Any) -> Path | None:
    """Return the path that a `file://` address is of; None for any other address."""
    protocol, rest = _split(given)
    return Path("/", rest.lstrip("/")) if protocol in _LOCAL else None


def parse(given: Any) -> Address:
    """Read an address.

    >>> str(parse("s3://key:secret@bucket/runs/a/"))
    's3://bucket/runs/a'

    Raises:
        UsageError: it names no place, or goes up and down.
    """
    protocol, rest = _split(given)
    options: dict[str, Any] = {}
    query = ""
    if protocol in _WEB:
        rest, mark, query = rest.partition("?")
        query = mark + query
    secret, rest = _credentials(rest, protocol)
    if secret:
        options = dict(zip(_KEYS.get(protocol, ("username", "password")), secret, strict=True))
    parts = tuple(part for part in rest.split("/") if part)
    if not parts:
        raise UsageError(f"Expected {protocol}://BUCKET/..., but got no bucket or host")
    made = Address(protocol, parts, options, query)
    if {".", ".."} & set(parts) or "\0" in rest:
        raise UsageError(f"Expected an address that goes down only, but got {made}")
    return made


def _split(given: Any) -> tuple[str, str]:
    text = os.fspath(given)
    found = _TEXT.fullmatch(text) or _PATH.fullmatch(text)
    if found is None:
        raise ValueError(f"Expected an address, but got {text!r}")
    protocol = found[1].lower()
    return _SAME.get(protocol, protocol), found[2]


def _credentials(rest: str, protocol: str) -> tuple[tuple[str, str] | None, str]:
    """Take USER:PASSWORD@ away; a password may hold a slash, which no bucket's name before does.

    Raises:
        UsageError: there is a user and no place; neither is repeated.
    """
    first = rest.partition("/")[0]
    user, colon, after = first.partition(":")
    if rest.startswith("arn:") or not colon or (after.isdigit() and "@" not in first):
        before, at, place = first.rpartition("@")
        if at and before:  # a user without a password
            return (unquote(before), ""), place + rest[len(first) :]
        return None, rest
    head, at, tail = (first if "@" in first else rest).rpartition("@")
    if not at:
        raise UsageError(
            f"Expected {protocol}://USER:PASSWORD@PLACE/..., but got no place after an @; give "
            "credentials by the environment instead"
        )
    password = head.partition(":")[2]
    return (unquote(user), unquote(password)), tail + (rest[len(first) :] if "@" in first else "")
