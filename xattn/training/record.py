"""The files beside a checkpoint: how it was made, on what, and how good it is."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xattn._version import __version__
from xattn.runs.atomic import replacing
from xattn.runs.columns import COLUMNS
from xattn.runs.csv_text import csv_text
from xattn.training.samples import Failure

SCHEMA = "xattn-training/1"

_PACKAGES = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow")


def write_text(path: Path, text: str) -> str:
    """Write a file whole or not at all; return the SHA-256 of its bytes."""
    data = text.encode("utf-8")
    with replacing(path) as scratch:
        scratch.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_errors(out: Path, failures: Iterable[Failure]) -> None:
    """Write OUT/errors.csv; files are named relative to the folder that holds OUT."""
    path = out / "errors.csv"
    rows = ((relative(one.file, out.parent), one.stage, one.error) for one in failures)
    write_text(path, csv_text([COLUMNS["errors"], *rows]))


def write_json(path: Path, facts: dict[str, Any]) -> None:
    """Write JSON whole or not at all; a number that is none becomes null."""
    write_text(path, json.dumps(_plain(facts), indent=2, allow_nan=False) + "\n")


def relative(path: Path, base: Path) -> str:
    """Name a file as seen from a folder, with forward slashes."""
    return Path(os.path.relpath(path, base)).as_posix()


def versions() -> dict[str, str]:
    """Return the versions that a training depends on."""
    found = {"xattn": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a vendored or stripped install
            found[package] = "unknown"
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
