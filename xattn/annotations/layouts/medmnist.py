"""MedMNIST: stacks of small images and their labels in a .npz file.

Yang et al. 2023, doi:10.1038/s41597-022-01721-8. The file has no names of its classes: they are the
numbers that it has.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.errors import AnnotationError
from xattn.images.containers import has_file, members

_PARTS = ("train", "val", "test")
_KEYS = frozenset(f"{part}_{what}.npy" for part in _PARTS for what in ("images", "labels"))


def _file(root: Path) -> Path | None:
    """Return the first .npz file of MedMNIST in a folder."""
    for path in sorted(root.glob("*.npz")):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if set(archive.namelist()) >= _KEYS:
                    return path
    return None


@layout("medmnist", detect=lambda root: _file(root) is not None)
def medmnist(sources: Sources, note: Note) -> Draft:
    """Read the first .npz file of MedMNIST in a folder: classes are numbers, several are findings.

    Raises:
        AnnotationError: there is none, or it is one of volumes.
    """
    path = _file(sources.root)
    if path is None:
        raise AnnotationError(
            f"Expected a .npz file of MedMNIST in {sources.root}, with {', '.join(sorted(_KEYS))}, "
            "but found none"
        )
    with np.load(path) as arrays:
        labels = {part: np.asarray(arrays[f"{part}_labels"]) for part in _PARTS}
    names = [name for name in members(path) if name.partition("/")[0].endswith("_images")]
    if not names or not has_file(path / names[0]):
        raise AnnotationError(
            f"Expected images in {path}, but got arrays of another shape; volumes are to be saved "
            "as slices"
        )
    images = pd.DataFrame({"file": [f"{path}/{name}" for name in names]})
    parts = pd.Series(names).str.partition("_images/")
    images["id"] = path.stem + "_" + parts[0] + "_" + parts[2]
    images["group"] = images["label"] = None
    truth = np.concatenate([labels[part][rows.astype(int)] for part, rows in
                            parts[2].groupby(parts[0], sort=False)])  # fmt: skip
    values = pd.DataFrame({"official_split": parts[0]})
    if truth.ndim > 1 and truth.shape[1] > 1:
        return _findings(draft(images, values, (), lambda _: None), truth)
    images["label"] = truth.reshape(-1).astype(int).astype(str)
    note("labels: the numbers of the file, which has no names of them")
    ordered = [str(one) for one in sorted(set(truth.reshape(-1).tolist()))]
    return draft(images, values, ordered, note)


def _findings(found: Draft, truth: NDArray[np.integer]) -> Draft:
    names = tuple(str(i) for i in range(truth.shape[1]))
    images = tuple(
        replace(image, findings=tuple(n for n, there in zip(names, row, strict=True) if there))
        for image, row in zip(found.images, truth.tolist(), strict=True)
    )
    return Draft(names, found.features, images)
