"""Putting what a run folder holds and the batches of a call together: rows, and maps row by row."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from xattn.errors import RunError
from xattn.runs.batches import Batch

_EMPTY = ("split", "domain")  # text columns that `evaluate` may have added: "" where not known


@dataclass(frozen=True)
class Gathered:
    """The table of a run as it will be.

    Attributes:
        rows: predictions.parquet.
        doubled: a file or id that stands twice where it may not, and where; "" if none does.
        changed: whether the batches hold anything that goes into table or maps.
        new_rows: whether rows come, go or are replaced, so that all maps are written anew.
        replaces: whether rows that are there change or go.
        relabelled: whether labels change.
    """

    rows: pd.DataFrame
    doubled: str = ""
    changed: bool = False
    new_rows: bool = False
    replaces: bool = False
    relabelled: bool = False

    def require_unique_ids(self, folder: Path) -> None:
        """Make sure that each image stands in the table once.

        Raises:
            RunError: one does not; it is named.
        """
        if self.doubled:
            raise RunError(
                f"Expected each image once in {folder}, but got {self.doubled}: two calls have "
                "written this folder at the same time; explain into another folder with --out"
            )


def gather_rows(
    before: pd.DataFrame | None,
    batches: Sequence[Batch],
    methods: Sequence[str],
    labels: Mapping[str, str],
) -> Gathered:
    """Put the rows together: those that are there, then new ones; the latest of each image counts.

    Args:
        before: the table that is there.
        batches: in order.
        methods: that the run has; others that a batch has are not taken.
        labels: new ones, by image id.
    """
    whole = [batch for batch in batches if batch.files and not batch.adds]
    frames = [*([] if before is None else [before]), *(batch.rows for batch in whole)]
    if not frames:
        return Gathered(pd.DataFrame())
    rows = pd.concat(frames, ignore_index=True)
    order = rows["file"].drop_duplicates()
    rows = rows.drop_duplicates("file", keep="last").set_index("file", drop=False).loc[order]
    failed = _failed(batches)
    rows = rows[~rows["file"].isin(failed)].reset_index(drop=True)
    there = set() if before is None else set(before["file"])
    for name in _EMPTY:
        if name in rows:
            rows[name] = rows[name].fillna("")
    rows = _with_added(rows, batches, methods)
    relabelled = bool(labels) and bool(rows["image_id"].isin(labels).any())
    if relabelled:
        own = rows["label"].astype(object).where(rows["label"].notna(), None)
        rows["label"] = [labels.get(i, v) for i, v in zip(rows["image_id"], own, strict=True)]
    replaced = any(not there.isdisjoint(batch.files) for batch in whole)
    return Gathered(
        rows=rows,
        doubled=_doubled(before, whole, rows),
        changed=any(batch.files for batch in batches) or not there.isdisjoint(failed),
        new_rows=bool(whole) or not there.isdisjoint(failed),
        replaces=replaced or not there.isdisjoint(failed),
        relabelled=relabelled,
    )


def write_maps(
    folder: Path,
    gathered: Gathered,
    before: pd.DataFrame | None,
    batches: Sequence[Batch],
    stored: Sequence[str],
    methods: Sequence[str],
) -> None:
    """Write the maps of all methods anew, and put them in place of those that are there.

    Raises:
        RunError: the maps that are there do not match the table.
    """
    scratch, maps, old = (folder / n for n in (".maps.zarr.part", "maps.zarr", ".maps.zarr.old"))
    shutil.rmtree(scratch, ignore_errors=True)
    zarr.create_group(scratch)
    for method in methods:
        # One method at a time: the store may be far larger than memory allows for all.
        _write(scratch / method, _stack(folder, method, gathered.rows, before, batches, stored))
    if maps.is_dir():
        maps.rename(old)
    scratch.rename(maps)
    shutil.rmtree(old, ignore_errors=True)


def write_more_maps(
    folder: Path,
    gathered: Gathered,
    before: pd.DataFrame | None,
    batches: Sequence[Batch],
    stored: Sequence[str],
    methods: Sequence[str],
) -> None:
    """Write the maps of methods that were added, beside those of the others.

    Raises:
        RunError: some image has no map of one.
    """
    scratch, maps = folder / ".maps.zarr.part", folder / "maps.zarr"
    shutil.rmtree(scratch, ignore_errors=True)
    zarr.create_group(scratch)
    if not maps.is_dir():
        zarr.create_group(maps)
    for method in methods:
        if any(batch.files and method in batch.methods for batch in batches):
            _write(scratch / method, _stack(folder, method, gathered.rows, before, batches, stored))
            shutil.rmtree(maps / method, ignore_errors=True)
            (scratch / method).rename(maps / method)
    shutil.rmtree(scratch)


def _failed(batches: Sequence[Batch]) -> set[str]:
    """Return the files that failed when they were tried last."""
    failed: set[str] = set()
    for batch in batches:
        failed |= {error["file"] for error in batch.errors}
        failed -= set(batch.files)
    return failed


def _with_added(
    rows: pd.DataFrame, batches: Sequence[Batch], methods: Sequence[str]
) -> pd.DataFrame:
    """Add the columns of maps that were added to images."""
    for batch in batches:
        if not batch.adds:
            continue
        named = {f"degenerate_{name}" for name in batch.methods if name in methods}
        columns = [str(column) for column in batch.rows]
        named |= {c for c in columns if c.startswith("explained@") and c not in rows}
        new = [column for column in columns if column in named]
        of_file = batch.rows.set_index("file")
        for column in new:
            values = rows["file"].map(of_file[column])
            rows[column] = values.where(values.notna(), rows[column]) if column in rows else values
    return rows


def _doubled(before: pd.DataFrame | None, whole: Sequence[Batch], rows: pd.DataFrame) -> str:
    if before is not None and (twice := _first_twice(before["file"])):
        return f"{twice} twice in its table"
    fresh = [f for batch in whole for f in batch.files if f not in batch.replaces]
    if twice := _first_twice(fresh):
        return f"{twice} in two batches"
    if twice := _first_twice(rows["image_id"]):
        files = " and ".join(rows.loc[rows["image_id"] == twice, "file"])
        return f"the id {twice!r} of {files}"
    return ""


def _first_twice(values: Sequence[str] | pd.Series[str]) -> str:
    counts = Counter(values)
    return next((str(value) for value, count in counts.items() if count > 1), "")


def _stack(
    folder: Path,
    method: str,
    rows: pd.DataFrame,
    before: pd.DataFrame | None,
    batches: Sequence[Batch],
    stored: Sequence[str],
) -> NDArray[np.float32]:
    """Return the maps of one method, row by row of the table; the latest of each image."""
    files: list[str] = []
    pieces: list[NDArray[np.float32]] = []
    if before is not None and method in stored:
        old = zarr.open_array(folder / "maps.zarr" / method, mode="r")
        if old.shape[0] < len(before):
            raise RunError(
                f"Expected {len(before)} maps of {method!r} in {folder}, as its table has rows, "
                f"but got {old.shape[0]}; delete {folder / 'maps.zarr' / method} and repeat"
            )
        # A kill while images were added can leave maps whose rows are not in the table yet.
        pieces.append(np.asarray(old[: len(before)], dtype=np.float32))
        files += list(before["file"])
    for batch in batches:
        if batch.files and method in batch.methods:
            pieces.append(batch.maps(method))
            files += batch.files
    place = {file: i for i, file in enumerate(files)}
    lacking = [file for file in rows["file"] if file not in place]
    if lacking:
        raise RunError(
            f"Expected a map of {method!r} for each image in {folder}, but {len(lacking)} lack it, "
            f"{lacking[0]} among them; repeat the command"
        )
    data = np.concatenate(pieces)
    take = [place[file] for file in rows["file"]]
    return data if take == list(range(len(data))) else data[take]


def _write(path: Path, data: NDArray[np.float32]) -> None:
    rows = max(1, min(len(data), 2**22 // max(1, data[0].nbytes)))
    array = zarr.create_array(
        path, shape=data.shape, chunks=(rows, *data.shape[1:]), dtype="float32"
    )
    array[:] = data
