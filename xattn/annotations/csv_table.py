"""Any table with a row per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from xattn.annotations.frames import open_table, read_frame
from xattn.annotations.image_folder import unique_ids
from xattn.annotations.layouts import Draft, Note, Sources, layout
from xattn.annotations.listing import Listing, images_below
from xattn.annotations.rows import draft
from xattn.annotations.ties import join_groups
from xattn.errors import AnnotationError, UsageError, near
from xattn.images.kinds import endings


@layout("csv", takes=("csv", "columns.file", "columns.id", "columns.label", "columns.group"))
def csv_table(sources: Sources, note: Note) -> Draft:
    """Read a table; every column that has no other role becomes metadata.

    Files are named by the file column, relative to the root, or found under the root by the id
    column. Ids come from the id column, else from the file's name.

    Raises:
        UsageError: neither a file nor an id column was named.
        AnnotationError: a column is not there, or none of the images.
    """
    roles = sources.columns
    if sources.csv is None or not (roles.file or roles.id):
        raise UsageError(
            "Expected --csv with --file-column or --id-column for the layout csv, but got "
            + ("no --csv" if sources.csv is None else "neither column")
        )
    rows = read_frame(open_table(sources.csv))
    group = () if roles.group == ("none",) else roles.group
    for column in filter(None, (roles.file, roles.id, roles.label, *group)):
        if column not in rows:
            raise AnnotationError(
                f"Expected a column {column!r} in {sources.csv}, but got no such"
                f"{near(column, map(str, rows.columns))}"
            )
    key = str(roles.file or roles.id)
    nameless = rows[[c for c in (roles.file, roles.id) if c]].isna().any(axis=1)
    if nameless.any():
        note(f"{sources.csv.name}: {nameless.sum()} rows without a cell of {key} are left out")
    rows = rows[~nameless].reset_index(drop=True)
    files = _named(rows[key], sources.root) if roles.file else _found(rows[key], sources, note)
    rows, files = _there(rows, files, sources, note)
    images = pd.DataFrame({"file": files})
    images["id"] = rows[roles.id] if roles.id else unique_ids(rows[key], note)
    twice = images["id"].duplicated()
    if twice.any():
        note(f"{sources.csv.name}: {twice.sum()} rows of an id that was there; the first is taken")
    images["label"] = rows[roles.label] if roles.label else None
    images, rows = images[~twice].reset_index(drop=True), rows[~twice].reset_index(drop=True)
    images["group"] = join_groups(images["id"].tolist(), rows[list(group)]) if group else None
    taken = {roles.file, roles.id, roles.label, *group}
    values = rows[[c for c in rows.columns if c and c not in taken]]
    return draft(images, values, sorted(set(images["label"].dropna())), note)


def _named(cells: pd.Series, root: Path) -> pd.Series:
    """Return the files that cells name, relative to the root unless they are absolute."""
    cells = cells.str.replace("\\", "/")
    return cells.where(cells.str.match(r"/|[A-Za-z]:/"), f"{root}/" + cells)


def _found(cells: pd.Series, sources: Sources, note: Note) -> pd.Series:
    """Return the files under the root that have these ids; missing where there is none."""
    listed = images_below(sources.root, note, sources.mask_folders)
    found = pd.DataFrame(listed, columns=["folder", "name"], dtype=str)
    found.index = pd.Index(_stems(found["name"]))
    found = found[~found.index.duplicated()]
    return _stems(cells).map(found["folder"] + "/" + found["name"])


def _stems(names: pd.Series) -> pd.Series:
    known = "|".join(ending.removeprefix(".") for ending in sorted(endings()))
    return names.str.replace(rf"\.({known})$", "", case=False, regex=True)


def _there(
    rows: pd.DataFrame, files: pd.Series, sources: Sources, note: Note
) -> tuple[pd.DataFrame, pd.Series]:
    """Leave out the rows whose file is not there."""
    has = Listing().has
    there = np.fromiter((f == f and has(f) for f in files), dtype=bool, count=len(files))
    if not there.any():
        example = rows.iloc[0].to_dict() if len(rows) else "no row"
        raise AnnotationError(
            f"Expected the images of {sources.csv} under {sources.root}, but found none; "
            f"its first row is {example}"
        )
    if not there.all():
        note(f"images: {(~there).sum()} of {len(there)} that the table names are not there")
    return rows[there].reset_index(drop=True), files[there].reset_index(drop=True)
