"""What the tables of the ISIC challenges say of an image: class, artifact flags, patient."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from xattn.annotations.layouts.registry import Note
from xattn.annotations.schema import Value
from xattn.annotations.tables import ID_COLUMNS, Table
from xattn.errors import AnnotationError

ARTIFACTS = ("dark_corner", "hair", "gel_border", "gel_bubble", "ruler", "ink", "patches")
"""Columns of the flags of Bissoto et al. 2020, 0 or 1."""
METADATA = {"age_approx": "age", "sex": "sex", "anatom_site_general": "site"}
"""Column of the official metadata -> name of the feature."""
DATASETS = {"HAM": "HAM10000", "BCN": "BCN20000", "MSK": "MSK"}
"""Beginning of a lesion id in the metadata of 2019 -> the data set that the image came from."""

_CLASS_COLUMNS = ("label_string", "label")
_NO_CLASS = "UNK"
_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def read_labels(
    ids: Iterable[str], reference: Table | None, flags: Table | None, note: Note
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the classes and each image's class, of those that have one.

    Args:
        ids: the images.
        reference: a table with a column of class names, or one column a class (one-hot, as the
            ground truth of the ISIC challenges); None takes the flags' `label_string`.
        flags: the artifact flags.
        note: told how many images have no class.
    """
    ids = list(ids)
    if reference is not None:
        named = next((c for c in _CLASS_COLUMNS if c in reference.columns), None)
        if named is None:
            classes, labels = _one_hot(ids, reference)
        else:
            classes, labels = _named(ids, reference, named)
    elif flags is not None and "label_string" in flags.columns:
        classes, labels = _named(ids, flags, "label_string")
    else:
        note("labels: none; give a table of them, or flags with a column label_string")
        return (), {}
    if len(labels) < len(ids):
        examples = [i for i in ids if i not in labels]
        note(f"labels: {len(examples)} of {len(ids)} images have none, such as {examples[0]}")
    return classes, labels


def _named(ids: list[str], table: Table, column: str) -> tuple[tuple[str, ...], dict[str, str]]:
    labels = {i: table.cell(i, column) for i in ids if table.cell(i, column)}
    return tuple(sorted(set(labels.values()))), labels


def _one_hot(ids: list[str], table: Table) -> tuple[tuple[str, ...], dict[str, str]]:
    columns = [c for c in table.columns if c not in ID_COLUMNS]
    labels = {}
    for i in ids:
        row = [table.cell(i, c) for c in columns]
        try:
            chosen = [c for c, cell in zip(columns, row, strict=True) if cell and float(cell) == 1]
        except ValueError:
            raise AnnotationError(
                f"Expected a column {' or '.join(_CLASS_COLUMNS)}, or one column of 0 and 1 per "
                f"class, in {table.path}, but got {', '.join(columns)}"
            ) from None
        if len(chosen) == 1 and chosen[0] != _NO_CLASS:
            labels[i] = chosen[0]
    used = set(labels.values())
    return tuple(c for c in columns if c in used), labels


def read_values(
    ids: Iterable[str], flags: Table | None, metadata: Table | None, note: Note
) -> dict[str, dict[str, Value]]:
    """Return image id -> feature -> value, of the flags (0 or 1) and the metadata.

    What is missing is left out; cells that are no flag or no number are left out with a note.

    Raises:
        AnnotationError: a table has none of the columns it is read for.
    """
    values: dict[str, dict[str, Value]] = {i: {} for i in ids}
    odd: Counter[str] = Counter()
    if flags is not None:
        flags.expect_columns(ARTIFACTS)
        for i, found in values.items():
            for name in ARTIFACTS:
                _put(found, name, flags.cell(i, name), flags.path.name, odd, _FLAGS.get)
    if metadata is not None:
        metadata.expect_columns([*METADATA, "lesion_id"])
        for i, found in values.items():
            for column, name in METADATA.items():
                read = _number if name == "age" else str
                _put(found, name, metadata.cell(i, column), metadata.path.name, odd, read)
            if dataset := _dataset(metadata.cell(i, "lesion_id")):
                found["dataset"] = dataset
    for where, n in odd.items():
        note(f"{where}: {n} cells could not be read and are left out")
    return values


def _dataset(lesion_id: str) -> str | None:
    return next((name for start, name in DATASETS.items() if lesion_id.startswith(start)), None)


def _put(
    values: dict[str, Value],
    name: str,
    cell: str,
    where: str,
    odd: Counter[str],
    read: Callable[[str], Value | None],
) -> None:
    if not cell:
        return
    value = read(cell)
    if value is None:
        odd[f"{where}, column of {name}"] += 1
    else:
        values[name] = value


def _number(cell: str) -> Value | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
