"""PatchCamelyon: patches of lymph nodes in HDF5 files, as its authors publish them.

Veeling et al. 2018, arXiv:1806.03962.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from xattn.annotations.layouts.camelyon17 import CLASSES
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.sheets import read_sheet
from xattn.errors import AnnotationError

_NAME = "camelyonpatch_level_2_split_{part}_{what}"
_PARTS = {"train": "train", "valid": "val", "test": "test"}


def _file(root: Path, part: str, what: str, ending: str = ".h5") -> Path | None:
    """Return a file of a part, up to two folders deep; Kaggle has it in a folder of its name."""
    name = _NAME.format(part=part, what=what) + ending
    found = (path for depth in ("", "*/", "*/*/") for path in sorted(root.glob(depth + name)))
    return next((path for path in found if path.is_file()), None)


def _looks_like(root: Path) -> bool:
    return any(_file(root, part, "x", end) for part in _PARTS for end in (".h5", ".h5.gz"))


@layout("patchcamelyon", detect=_looks_like, domain="tissue")
def patchcamelyon(sources: Sources, note: Note) -> Draft:
    """Read the pairs of x and y files: normal or tumor, by the centre of the patch.

    Groups are slides, where the table of meta data is there. Values: `official_split` (train, val,
    test) and slide.

    Raises:
        AnnotationError: there is no pair of files, or they are packed or of unequal length.
    """
    frames = [frame for part in _PARTS if (frame := _read(sources.root, part, note)) is not None]
    if not frames:
        packed = next((f for part in _PARTS if (f := _file(sources.root, part, "x", ".h5.gz"))), "")
        wanted = _NAME.format(part="train", what="x") + ".h5"
        raise AnnotationError(
            f"Expected unpacked files of PatchCamelyon, but got {packed}; gunzip it and its y"
            if packed
            else f"Expected {wanted} and its y under {sources.root}, but found none"
        )
    rows = pd.concat(frames, ignore_index=True)
    values = rows[["official_split", "slide"]]
    return draft(rows, values, CLASSES, note, nominal=["slide"])


def _read(root: Path, part: str, note: Note) -> pd.DataFrame | None:
    """Return the patches of one part, or None if it is not there."""
    x, y = _file(root, part, "x"), _file(root, part, "y")
    if x is None or y is None:
        return None
    labels, n = _labels(y), _patches(x)
    if len(labels) != n:
        raise AnnotationError(f"Expected as many labels in {y} as patches in {x}, {n}, but got "
                              f"{len(labels)}")  # fmt: skip
    width = len(str(n - 1))
    numbers = [f"{i:0{width}}" for i in range(n)]
    frame = pd.DataFrame({"id": [f"{part}_{i}" for i in numbers]})
    frame["file"] = [f"{x}/x/{i}" for i in numbers]
    frame["label"] = np.where(labels == 1, CLASSES[1], CLASSES[0])
    frame["official_split"] = _PARTS[part]
    frame["slide"] = _slides(root, part, n, note)
    frame["group"] = frame["slide"]
    return frame


def _patches(path: Path) -> int:
    import h5py

    with h5py.File(path, "r") as file:
        return len(file["x"])


def _labels(path: Path) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        return np.asarray(file["y"]).reshape(-1).astype(int)


def _slides(root: Path, part: str, n: int, note: Note) -> pd.Series:
    """Return the slide of each patch, missing where the table of meta data is not there."""
    path = _file(root, part, "meta", ".csv")
    nothing = pd.Series(None, index=range(n), dtype=object)
    if path is None:
        note(f"groups: {_NAME.format(part=part, what='meta')}.csv is not there, so the slides of "
             f"{part} are not known")  # fmt: skip
        return nothing
    cells = read_sheet(path, texts=["wsi"], doubled=True).by_column.get("wsi", [])
    if len(cells) != n:
        note(f"groups: {path.name} has no column wsi of {n:,} rows, and is passed over")
        return nothing
    return pd.Series(cells, dtype=object)
