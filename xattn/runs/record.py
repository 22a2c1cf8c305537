"""Records of what made the tables of a folder, and which tables they are of.

A record goes before its tables do, and comes after them with their hashes: a kill at any moment
leaves what belongs together, or a record that says it is unfinished.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xattn._version import __version__
from xattn.addresses.mirror import MIRROR
from xattn.errors import ImageError, RunError
from xattn.images.containers import content_bytes, read_content, split_member
from xattn.runs.again import record_again
from xattn.runs.atomic import read_record, write_json
from xattn.runs.tables import records

if TYPE_CHECKING:
    import pandas as pd

FILES, UNFINISHED = "files", "unfinished"


def file_sha256(path: Path) -> str:
    """Hash a file's bytes, or those of a member of an archive."""
    if split_member(path) is not None:
        try:
            return hashlib.sha256(content_bytes(read_content(path))).hexdigest()
        except ImageError as err:
            raise FileNotFoundError(str(err)) from None
    with MIRROR.kept(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of xattn, of Python and of the packages, in this order."""
    found = {"xattn": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a vendored or stripped install
            found[package] = "unknown"
    return found


def begin_record(path: Path, call: Mapping[str, Any] | None = None) -> None:
    """Mark a record as unfinished, before the first of its files changes.

    Args:
        path: the record.
        call: what is at work, so that it can be named if it is stopped.
    """
    write_json(path, {UNFINISHED: True, "call": call})


def end_record(path: Path, facts: Mapping[str, Any], files: Iterable[str]) -> None:
    """Write a record, with the hashes of the files beside it that it is of."""
    hashes = {name: file_sha256(path.with_name(name)) for name in files}
    write_json(path, {**facts, FILES: hashes})


def keep_record(file: Path) -> None:
    """Let finished records beside a file know it as it is now, after it was written anew."""
    for name in records():
        path = file.with_name(name)
        if path.is_file():
            facts = read_record(path)
            if file.name in facts.get(FILES, {}):
                facts[FILES][file.name] = file_sha256(file)
                write_json(path, facts)


def require_recorded(file: Path) -> None:
    """Make sure that a file is as the finished records beside it know it.

    Raises:
        RunError: it is another.
    """
    for name in records():
        path = file.with_name(name)
        if path.is_file():
            _require_same(file, read_record(path).get(FILES, {}).get(file.name), path)


def _require_same(file: Path, known: str | None, record: Path) -> None:
    if known is not None and file_sha256(file) != known:
        raise RunError(
            f"Expected {file} as it was when {record} was written, but it is another"
            f"; repeat {record_again(record.parent, record.name)}"
        )


def predictions_sha256(predictions: pd.DataFrame) -> str:
    """Hash which images a run has, in which order, and how it predicts them."""
    logits = predictions[[c for c in predictions if str(c).startswith("logit_")]]
    digest = hashlib.sha256("\0".join(map(str, predictions["image_id"])).encode(errors="replace"))
    digest.update(np.ascontiguousarray(logits.to_numpy(np.float64)).tobytes())
    return digest.hexdigest()


def require_whole(path: Path) -> None:
    """Make sure that a record and the files it is of belong together.

    One of an earlier version names no files, and passes; so does a folder without a record.

    Args:
        path: the record.

    Raises:
        RunError: it is unfinished, or a file is missing or another.
    """
    if not path.is_file():
        return
    facts = read_record(path)
    way_out = f"; repeat {record_again(path.parent, path.name)}"
    if facts.get(UNFINISHED):
        raise RunError(
            f"Expected a finished {path.name} in {path.parent}, but the command that writes it was "
            f"stopped or is at work{way_out}"
        )
    for name, sha256 in facts.get(FILES, {}).items():
        file = path.with_name(name)
        if not file.is_file():
            raise RunError(f"Expected {file}, as {path} says, but it is not there{way_out}")
        _require_same(file, sha256, path)
