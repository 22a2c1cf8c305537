"""The files beside a checkpoint: how it was made, on what, and how good it is."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xattn._version import __version__
from xattn.runs.atomic import write_text
from xattn.runs.csv_text import csv_text
from xattn.runs.tables.errors import ERRORS
from xattn.splits.samples import Failure

SCHEMA = "xattn-training/1"

_PACKAGES = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow")


def write_errors(out: Path, failures: Iterable[Failure]) -> None:
    """Write OUT/errors.csv; files are named relative to the folder that holds OUT."""
    path = out / "errors.csv"
    rows = ((relative(one.file, out.parent), one.stage, one.error) for one in failures)
    write_text(path, csv_text([ERRORS.promised, *rows]))


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


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
