"""derm7pt, the seven-point checklist: dermoscopy and photographs of 1,011 cases, with structures.

Kawahara et al. 2019, doi:10.1109/JBHI.2018.2824327. The classes are those that the authors' own
code makes of twenty diagnoses (github.com/jeremykawahara/derm7pt).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from xattn.annotations.frames import TableFile, find_tables, read_frame
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import images_below
from xattn.annotations.schema import Kind, Value
from xattn.errors import AnnotationError, UsageError

STRUCTURES = (
    "pigment_network", "streaks", "pigmentation", "regression_structures", "dots_and_globules",
    "blue_whitish_veil", "vascular_structures",
)  # fmt: skip
COLUMNS = ("case_num", "diagnosis", "seven_point_score", *STRUCTURES, "clinic", "derm")
VALUES = {"sex": "sex", "location": "site", "elevation": "elevation",
          "level_of_diagnostic_difficulty": "difficulty", "management": "management"}  # fmt: skip
ABSENT = "absent"
IMAGES = ("derm", "clinic")

_NEVI = ("blue", "clark", "combined", "congenital", "dermal", "recurrent", "reed or spitz")
_MELANOMAS = ("melanoma", "melanoma (in situ)", "melanoma (less than 0.76 mm)",
              "melanoma (0.76 to 1.5 mm)", "melanoma (more than 1.5 mm)",
              "melanoma metastasis")  # fmt: skip
_OTHERS = ("dermatofibroma", "lentigo", "melanosis", "miscellaneous", "vascular lesion")
CLASSES = {
    "basal cell carcinoma": "basal cell carcinoma",
    "nevus": "nevus",
    **{f"{kind} nevus": "nevus" for kind in _NEVI},
    **dict.fromkeys(_MELANOMAS, "melanoma"),
    **dict.fromkeys(_OTHERS, "miscellaneous"),
    "seborrheic keratosis": "seborrheic keratosis",
}
_PARTS = {"train": "train", "valid": "val", "test": "test"}


def _table(root: Path) -> TableFile | None:
    tables = find_tables(root)
    return next((table for table in tables if set(COLUMNS) <= set(table.columns)), None)


@layout(
    "derm7pt",
    detect=lambda root: _table(root) is not None,
    takes=("columns.file", "columns.label"),
    domain="dermoscopy",
)
def derm7pt(sources: Sources, note: Note) -> Draft:
    """Read meta.csv: five classes, and of each structure whether it is there and its type.

    `--file-column clinic` takes the photographs instead of the dermoscopic images,
    `--label-column diagnosis` the diagnoses as they are. Values: `official_split`, the types of the
    structures (`pigment_network_type`), site, sex, elevation, difficulty and management.

    Raises:
        AnnotationError: there is no such table, or none of its images.
        UsageError: the column of files or of labels is another.
    """
    roles = sources.columns
    column = roles.file or IMAGES[0]
    if column not in IMAGES or roles.label not in (None, "diagnosis"):
        raise UsageError(
            "Expected --file-column derm or clinic, and --label-column diagnosis or none, but got "
            f"{roles.file if column not in IMAGES else roles.label}"
        )
    table = _table(sources.root)
    if table is None:
        raise AnnotationError(
            f"Expected meta.csv of derm7pt under {sources.root}, with {', '.join(COLUMNS)}, but "
            "found none"
        )
    rows = read_frame(table, note=note, texts=["case_num", "derm", "clinic"])
    rows["official_split"] = _splits(table.path.parent, len(rows), note)
    rows["file"] = _files(rows[column], sources, note)
    there = rows["file"].notna()
    if not there.any():
        raise AnnotationError(
            f"Expected the images of {table.path}, such as {rows[column].iloc[0]}, under "
            f"{sources.root}, but found none"
        )
    if not there.all():
        note(f"images: {(~there).sum()} of {len(there)} that the table names are not there")
    rows = rows[there].reset_index(drop=True)
    images = pd.DataFrame({"file": rows["file"], "group": "case " + rows["case_num"]})
    images["id"] = rows["file"].str.rpartition("/")[2].str.rpartition(".")[0]
    images["label"] = rows["diagnosis"] if roles.label else rows["diagnosis"].map(CLASSES)
    if roles.label is None:
        note("labels: five classes, as the authors group the diagnoses; see --label-column")
    if column != IMAGES[0]:
        note("domain: photographs are no dermoscopy; --domain clinical says so")
    values = rows[[c for c in VALUES if c in rows]].rename(columns=VALUES)
    values["official_split"] = rows["official_split"]
    for name in STRUCTURES:
        values[f"{name}_type"] = rows[name].where(rows[name] != ABSENT)
    classes = sorted(set(images["label"].dropna())) if roles.label else [*dict.fromkeys(
        CLASSES.values())]  # fmt: skip
    return _with_structures(draft(images, values, classes, note), rows)


def _splits(folder: Path, n: int, note: Note) -> pd.Series:
    """Return the part of each row, by the lists of row numbers beside the table."""
    found = pd.Series(None, index=range(n), dtype=object)
    for name, part in _PARTS.items():
        path = folder / f"{name}_indexes.csv"
        if not path.is_file():
            note(f"official_split: {path.name} is not beside the table")
            continue
        # Where the list has one column beside a numbering, that is the row.
        rows = read_frame(TableFile(path, "", ()))["indexes"].astype(float).astype(int)
        found.iloc[[row for row in rows if 0 <= row < n]] = part
    return found


def _files(cells: pd.Series, sources: Sources, note: Note) -> pd.Series:
    """Return the file of each cell; the endings are spelled `jpg` and `JPG`."""
    listed = images_below(sources.root, note, sources.mask_folders)
    by_name: dict[str, str] = {}
    for folder, name in listed:
        above = folder.replace("\\", "/").rpartition("/")[2]
        by_name[f"{above}/{name}".lower()] = f"{folder}/{name}"
    return cells.str.replace("\\", "/").str.lower().map(by_name)


def _with_structures(found: Draft, rows: pd.DataFrame) -> Draft:
    """Add whether each structure is there."""
    kinds: dict[str, Kind] = dict.fromkeys(STRUCTURES, "structure")
    images = []
    for i, image in enumerate(found.images):
        there: dict[str, Value] = {
            name: int(cell != ABSENT)
            for name in STRUCTURES
            if isinstance(cell := rows[name].iloc[i], str)
        }
        images.append(replace(image, values={**there, **image.values}))
    return Draft(found.labels, {**kinds, **found.features}, tuple(images))
