"""Camelyon17 as WILDS releases it: patches of lymph nodes from five centres.

Bandi et al. 2019, doi:10.1109/TMI.2018.2867350; Koh et al. 2021, "WILDS", arXiv:2012.07421.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from xattn.annotations.frames import TableFile, find_tables, read_frame
from xattn.annotations.groups import join_groups
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import Listing
from xattn.errors import AnnotationError, near

CLASSES = ("normal", "tumor")
COLUMNS = ("patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
VALUES = ("center", "slide", "patient", "node")

_OOD_VAL, _OOD_TEST, _ID_VAL = "1", "2", "1"
"""Centres 1 and 2 of the official split; and its mark in the column `split`."""


def _table(root: Path) -> TableFile | None:
    tables = find_tables(root, ["metadata.csv"])
    return next((table for table in tables if set(COLUMNS) <= set(table.columns)), None)


@layout(
    "camelyon17",
    detect=lambda root: _table(root) is not None,
    takes=("columns.group",),
    domain="tissue",
)
def camelyon17(sources: Sources, note: Note) -> Draft:
    """Read metadata.csv; patches are named by it, and folders are listed, not searched.

    Values: center, slide, patient and node, as texts, and `official_split`, by its names in
    WILDS: train, id_val (of the training slides), val (centre 1) and test (centre 2).

    Raises:
        AnnotationError: there is no such table, or none of its patches.
    """
    table = _table(sources.root)
    if table is None:
        raise AnnotationError(
            f"Expected metadata.csv with the columns {', '.join(COLUMNS)} under {sources.root}, "
            "but found none"
        )
    rows = read_frame(table).dropna(subset=list(COLUMNS)).reset_index(drop=True)
    # Saved again by other programs, numbers come back as 4.0 and patients without their zeros.
    rows = rows[list(COLUMNS)].apply(lambda cells: cells.str.removesuffix(".0"))
    rows["patient"] = rows["patient"].str.zfill(3)
    case = "patient_" + rows["patient"] + "_node_" + rows["node"]
    ids = "patch_" + case + "_x_" + rows["x_coord"] + "_y_" + rows["y_coord"]
    files = f"{table.path.parent}/patches/" + case + "/" + ids + ".png"

    listing = Listing()
    there = np.fromiter(map(listing.has, files), dtype=bool, count=len(files))
    if not there.any():
        raise AnnotationError(
            f"Expected the patches of {table.path}, such as {files.iloc[0]}, but found none"
            if len(files)
            else f"Expected rows in {table.path}, but got none"
        )
    if not there.all():
        note(f"images: {(~there).sum()} of {len(there)} that the table names are not there")
    rows = rows[there].reset_index(drop=True)
    images = pd.DataFrame({"id": ids[there].to_numpy(), "file": files[there].to_numpy()})
    images["label"] = rows["tumor"].map({"0": CLASSES[0], "1": CLASSES[1]})
    images["group"] = join_groups(images["id"].tolist(), _groups(rows, sources.columns.group))
    values = rows[list(VALUES)].assign(official_split=_official_split(rows))
    return draft(images, values, CLASSES, note, nominal=VALUES)


def _groups(rows: pd.DataFrame, wanted: tuple[str, ...]) -> pd.DataFrame:
    if wanted == ("none",):
        return rows[[]]
    for column in wanted:
        if column not in VALUES:
            raise AnnotationError(
                f"Expected {', '.join(VALUES)} or none as the group, but got {column!r}"
                f"{near(column, VALUES)}"
            )
    return rows[list(wanted) or ["slide"]]


def _official_split(rows: pd.DataFrame) -> np.ndarray:
    center = rows["center"]
    return np.select(
        [center == _OOD_VAL, center == _OOD_TEST, rows["split"] == _ID_VAL],
        ["val", "test", "id_val"],
        "train",
    )
