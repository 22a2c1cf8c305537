"""The table of a run as it will be: what the folder holds, and the batches of a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from xattn.errors import RunError
from xattn.runs.another_folder import another_folder
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
                f"written this folder at the same time; {another_folder()}"
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
