"""The batches of a run that is going on: small files under RUN/.progress, each there or not.

batch-000007.npz      <method>: float32 (rows, h, w)
batch-000007.parquet  one row per image
batch-000007.json     commits the two: rows, errors, methods, what the files were
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.disk import replacing
from xattn.runs.atomic import read_record, write_json
from xattn.runs.inputs import Stamp
from xattn.runs.parquet import read_parquet, write_parquet

_SUFFIXES = (".json", ".parquet", ".npz")


@dataclass(frozen=True)
class Batch:
    """One committed batch.

    Attributes:
        stem: its files, without their endings.
        rows: of the table, one per image that was done.
        methods: whose maps it has, one per row.
        adds: whether the images were done before, and only maps are added to them.
        replaces: files whose earlier rows and maps these replace.
        errors: rows of errors.csv.
        stamps: by file.
    """

    stem: Path
    rows: pd.DataFrame
    methods: tuple[str, ...]
    adds: bool
    replaces: frozenset[str]
    errors: list[dict[str, str]]
    stamps: dict[str, Stamp]

    @property
    def files(self) -> list[str]:
        """File of each row."""
        return list(self.rows["file"]) if len(self.rows) else []

    def maps(self, method: str) -> NDArray[np.float32]:
        """Read the maps of one method, (rows, h, w)."""
        path = self.stem.with_suffix(".npz")
        with path.open("rb") as file, np.load(file) as content:
            return np.asarray(content[method], np.float32)


def write_batch(
    folder: Path,
    number: int,
    rows: Sequence[Mapping[str, Any]],
    maps: Mapping[str, NDArray[np.float32]],
    stamps: Mapping[str, Stamp],
    facts: Mapping[str, Any],
) -> None:
    """Commit a batch; `facts` are its errors, adds and replaces."""
    stem = folder / f"batch-{number:06d}"
    if rows:
        with replacing(stem.with_suffix(".npz")) as scratch, scratch.open("wb") as f:
            arrays: dict[str, Any] = {k: np.asarray(m, np.float32) for k, m in maps.items()}
            np.savez(f, **arrays)
        write_parquet(pd.DataFrame(list(rows)), stem.with_suffix(".parquet"))
    content = {
        **facts,
        "rows": len(rows),
        "methods": list(maps),
        "inputs": {file: astuple(one) for file, one in stamps.items()},
    }
    write_json(stem.with_suffix(".json"), content)


def read_batches(folder: Path) -> tuple[list[Batch], int]:
    """Read the batches in order, and take those away that are damaged.

    Returns:
        The batches, and the number of damaged ones: what they held counts as never done.
    """
    found, damaged = [], 0
    for path in sorted(folder.glob("batch-*.json")):
        stem = path.with_suffix("")
        try:
            found.append(_read(stem))
        except Exception:  # a full disk or lost power leaves anything, and readers raise anything
            damaged += 1
            for suffix in _SUFFIXES:  # what commits it goes first
                stem.with_suffix(suffix).unlink(missing_ok=True)
    return found, damaged


def _read(stem: Path) -> Batch:
    facts = read_record(stem.with_suffix(".json"))
    rows, methods = pd.DataFrame(), facts.get("methods", [])
    if facts["rows"]:
        rows = read_parquet(stem.with_suffix(".parquet"), "it is done again")
        with stem.with_suffix(".npz").open("rb") as file, np.load(file) as content:
            counts = {name: len(content[name]) for name in content.files}
        methods = facts.get("methods", list(counts))
        lengths = {len(rows), *(counts[name] for name in methods)}
        if lengths != {facts["rows"]}:
            raise ValueError(f"Expected {facts['rows']} rows and maps, but got {lengths}")
    return Batch(
        stem=stem,
        rows=rows,
        methods=tuple(methods),
        adds=bool(facts.get("adds", False)),
        replaces=frozenset(facts.get("replaces", [])),
        errors=list(facts["errors"]),
        stamps={file: Stamp(*values) for file, values in facts.get("inputs", {}).items()},
    )


def number_of(batch: Batch) -> int:
    """Return the number in its name."""
    return int(batch.stem.name.removeprefix("batch-"))
