"""Files that are either wholly there or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a scratch path beside `path` that takes its place if the block succeeds.

    A kill at any moment leaves the old file or the new one, never half of either.
    """
    scratch = path.with_name(f".{path.name}.part")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> str:
    """Write a file whole or not at all; return the SHA-256 of its bytes."""
    data = text.encode("utf-8")
    with replacing(path) as scratch:
        scratch.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all; a number that is none becomes null."""
    write_text(path, json.dumps(_plain(facts), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
