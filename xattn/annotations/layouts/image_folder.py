"""A folder per class, as torchvision's ImageFolder and many downloads have it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pandas as pd

from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import below, folders_in, has_images, images_below
from xattn.errors import AnnotationError
from xattn.images.beside import names_masks
from xattn.images.ids import distinct_ids

PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "ood": "ood",
}  # fmt: skip
"""Name of a folder above the classes, in lower case -> split."""


def _is_divided(root: Path) -> bool:
    """Say whether the folders are the parts of a split, with classes inside."""
    folders = folders_in(root)
    parts = [name for name in folders if name.lower() in PARTS]
    return bool(parts) and parts == folders and any(folders_in(root / name) for name in parts)


def _looks_like(root: Path) -> bool:
    above = [root / name for name in folders_in(root)] if _is_divided(root) else [root]
    classes = {name: folder / name for folder in above for name in folders_in(folder)}
    if any(names_masks(name) for name in classes):  # images/ and masks/ are no two classes
        places = {Path(folder) for folder, _ in images_below(root, lambda _: None)}
        inside = {name for at in places for name in at.relative_to(root).parts}
        classes = {name: folder for name, folder in classes.items() if name in inside}
    with_images = (name for name, folder in classes.items() if has_images(folder))
    return len(list(islice(with_images, 2))) == 2


@layout("imagefolder", detect=_looks_like, rank=0)
def image_folder(sources: Sources, note: Note) -> Draft:
    """Take the folder below the root as the class, or that below train/, val/, test/ and ood/.

    The part of the split becomes the value `split`. Images have no group.

    Raises:
        AnnotationError: there are no images in folders.
    """
    root, divided = sources.root, _is_divided(sources.root)
    listed = images_below(root, note, sources.mask_folders)
    found = pd.DataFrame(listed, columns=["folder", "name"], dtype=str)
    inside = pd.Series(below(root, found["folder"]), dtype=str)
    parts = inside.str.split("/", expand=True).reindex(columns=[0, 1]).replace("", None)
    label = parts[1 if divided else 0]
    loose = label.isna()
    if loose.all():
        raise AnnotationError(
            f"Expected images in a folder per class under {root}, but found none; "
            "for a flat folder with a table use --layout csv"
        )
    if loose.any():
        note(f"images: left out {loose.sum():,} in no folder of a class")
    images = pd.DataFrame(
        {"file": found["folder"] + "/" + found["name"], "label": label, "group": None}
    )
    images["id"] = unique_ids(inside + "/" + found["name"], note)
    images, parts = images[~loose], parts[~loose]
    values = pd.DataFrame(index=images.index)
    if divided:
        values["split"] = parts[0].str.lower().map(PARTS)
    return draft(images, values, sorted(images["label"].unique()), note)


def unique_ids(paths: pd.Series, note: Note) -> pd.Series:
    """Return file names without their ending; where several files share one, with their folders.

    Args:
        paths: relative to one folder, with forward slashes.
        note: told that there are such.
    """
    inside = paths.str.strip("/")
    ids = pd.Series(distinct_ids(inside.tolist()), index=paths.index, dtype=object)
    stems = inside.str.rpartition("/")[2].str.replace(r"\.[^.]*$", "", regex=True)
    twice = stems.duplicated(keep=False)
    if twice.any():
        note(
            f"ids: {twice.sum()} files share their name with another, such as "
            f"{stems[twice].iloc[0]}, and are called after their folder too, such as "
            f"{ids[twice].iloc[0]}; where --annotations names this file, all commands know them "
            "by their files"
        )
    return ids
