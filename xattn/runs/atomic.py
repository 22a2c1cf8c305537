"""Texts and JSON that are either wholly there or not at all; other files by `disk.replacing`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xattn.disk import replacing


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
