"""Splits that came as lists: one CSV each, naming its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from xattn.annotations.sheets import read_sheet
from xattn.errors import UsageError, XattnError, near
from xattn.splits.samples import SPLITS, Sample, Split
from xattn.splits.splits import units

_COLUMNS = ("image_id", "image", "isic_id", "id", "image_name", "filename", "file", "path", "name")
"""Columns in which lists name their images; the first that is there is taken."""

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})


def bind_by_lists(
    samples: Sequence[Sample], lists: Mapping[str, str | Path]
) -> tuple[list[Sample], list[str]]:
    """Bind samples to the split whose list names them; those that no list names are left out.

    Images that are held out (val, test, ood) and stand in the list of train as well are not
    trained on.

    Args:
        samples: images of an annotation file.
        lists: split -> CSV with a column of ids or file names.

    Returns:
        The bound samples, and notes.

    Raises:
        UsageError: a split is unknown.
        XattnError: a list cannot be read, shares no image with the samples, or an image is held
            out twice.
    """
    for name in lists:
        if name not in SPLITS:
            raise UsageError(f"Unknown split {name!r}{near(name, SPLITS)}")
    split: dict[str, Split] = {}
    twice = 0
    for name in (s for s in SPLITS if s in lists):
        ids = _read(Path(lists[name]))
        if not any(sample.id in ids for sample in samples):
            raise XattnError(
                f"Expected images of the annotation file in {lists[name]}, but they share no id: "
                f"{samples[0].id} here, {next(iter(ids), 'none at all')} there"
            )
        for one in ids:
            before = split.get(one)
            if before not in (None, "train"):
                raise XattnError(
                    f"Expected every image held out once, but {one} is in the lists of {before} "
                    f"and {name}"
                )
            twice += before == "train"
            split[one] = name
    bound = [replace(s, split=split[s.id]) for s in samples if s.id in split]
    notes = []
    if twice:
        notes.append(f"{twice} images of train that are in another list too are not trained on")
    if len(bound) < len(samples):
        notes.append(f"{len(samples) - len(bound)} images are in no list and are left out")
    return bound, notes


def without_leaks(
    samples: Sequence[Sample], hashes: Mapping[str, str]
) -> tuple[list[Sample], list[str]]:
    """Leave out images whose group, or whose copy, is in a split that comes later.

    The order is train, val, test, ood: what is tested on stays whole.

    Args:
        samples: all bound to a split.
        hashes: sample id -> hash of its file's bytes.

    Returns:
        The samples that stay, and notes.
    """
    unit = units(samples, hashes)
    rank = np.array([SPLITS.index(s.split) for s in samples if s.split is not None])
    last = np.zeros(unit.max() + 1, dtype=np.intp)
    np.maximum.at(last, unit, rank)
    stays = rank == last[unit]
    notes = [
        f"{int((~stays & (rank == i)).sum())} images of {name} are left out: their group, or a "
        "copy of them, is held out"
        for i, name in enumerate(SPLITS)
        if (~stays & (rank == i)).any()
    ]
    return [s for s, ok in zip(samples, stays, strict=True) if ok], notes


def _read(path: Path) -> dict[str, None]:
    """Return the ids that a list names, in its order."""
    sheet = read_sheet(path, error=XattnError, texts=_COLUMNS)
    columns = {name.lower(): name for name in sheet.columns}
    column = next((columns[c] for c in _COLUMNS if c in columns), None)
    if column is None:
        raise XattnError(
            f"Expected a column of images in {path}, one of {', '.join(_COLUMNS)}, but got "
            f"{', '.join(columns) or 'none'}"
        )
    return {_id(cell): None for cell in sheet.by_column[column] if cell}


def _id(name: str) -> str:
    """Return the id that a file name stands for; an id stands for itself.

    >>> _id("images/ISIC_0000006.png"), _id("ISIC_0000006"), _id("slide.3")
    ('ISIC_0000006', 'ISIC_0000006', 'slide.3')
    """
    path = PurePosixPath(name.strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in _ENDINGS else path.name
