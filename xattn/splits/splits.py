"""Splits in which no group, and no copy of a file, is on two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.annotations.sheets import read_sheet
from xattn.errors import XattnError, near
from xattn.runs.csv_text import csv_text, unguarded
from xattn.splits.findings import check_findings, rarest
from xattn.splits.samples import (
    HELD_OUT,
    SHOWN,
    SPLITS,
    Sample,
    Split,
    answers_of,
    count_labels,
    exclude_each_other,
    groups_of,
    labels_of,
)
from xattn.splits.stratify import stratified_split

__all__ = [
    "SPLITS",
    "Split",
    "check_splits",
    "count_splits",
    "make_splits",
    "read_domains",
    "read_splits",
    "units",
    "write_splits",
]


def make_splits(
    samples: Sequence[Sample],
    hashes: Mapping[str, str],
    *,
    val: float,
    test: float,
    seed: int,
    stratify: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Split]:
    """Split samples into train, val and test: whole groups, at random, every class in proportion.

    Samples of one group and samples whose files hold the same bytes stay together. Groups are
    assigned at random within strata of class, size and value of the columns in `stratify`, see
    `stratified_split`. Images that stand alone come out within one image of every class's
    fraction; with groups the fractions are kept as well as whole groups allow. A sample that is
    bound to a split goes there, and takes no other with it.

    Args:
        samples: labelled images.
        hashes: sample id -> hash of its file's bytes.
        val, test: fractions of the images that are not bound, each in [0, 1); the rest is train.
        seed: of the chance within strata.
        stratify: column -> sample id -> value, of columns to be in proportion too.

    Returns:
        Sample id -> split, in the order of the samples.
    """
    free = [sample for sample in samples if sample.split is None]
    fractions = (1 - val - test, val, test)
    drawn = _split_free(free, hashes, fractions, seed, stratify or {}) if free else {}
    return {s.id: s.split if s.split is not None else drawn[s.id] for s in samples}


def _split_free(
    samples: Sequence[Sample],
    hashes: Mapping[str, str],
    fractions: tuple[float, float, float],
    seed: int,
    stratify: Mapping[str, Mapping[str, str]],
) -> dict[str, Split]:
    """Split samples that are free to go into train, val or test."""
    unit = units(samples, hashes)
    sizes = np.bincount(unit)
    _, size = np.unique([size_class(int(n)) for n in sizes], return_inverse=True)
    columns = [np.array([values[s.id] for s in samples]) for values in stratify.values()]

    shown = _shown_in(unit, samples)
    counted = [_counts(unit, column) for column in columns]
    kind = shown.argmax(axis=1) if exclude_each_other(samples) else rarest(shown)
    kinds = np.column_stack([size, kind, *(counts.argmax(axis=1) for counts in counted)])
    _, strata = np.unique(kinds, axis=0, return_inverse=True)
    margins = np.hstack([np.eye(size.max() + 1)[size] * sizes[:, None], *counted])
    home = stratified_split(shown, margins, strata.reshape(-1), fractions, seed)
    return {s.id: SPLITS[home[u]] for s, u in zip(samples, unit, strict=True)}


def size_class(n: int) -> str:
    """Name the numbers of images that a group of n is alike with.

    >>> size_class(1), size_class(3), size_class(5), size_class(8)
    ('1 image', '3 images', '4 to 7 images', '8 to 15 images')
    """
    if n < 4:
        return f"{n} image{'s' * (n > 1)}"
    low = 2 ** (n.bit_length() - 1)
    return f"{low} to {2 * low - 1} images"


def _shown_in(unit: NDArray[np.intp], samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Count the images of each unit by class (units, classes), or by finding and by having none."""
    if exclude_each_other(samples):
        return _counts(unit, labels_of(samples))
    shown = answers_of(samples) == SHOWN
    counts = np.zeros((unit.max() + 1, shown.shape[1] + 1))
    np.add.at(counts, unit, np.column_stack([shown, ~shown.any(axis=1)]))
    return counts


def _counts(unit: NDArray[np.intp], values: NDArray[Any]) -> NDArray[np.float64]:
    """Count the images of each unit by value: (units, values)."""
    names, code = np.unique(values, return_inverse=True)
    counts = np.zeros((unit.max() + 1, len(names)))
    np.add.at(counts, (unit, code), 1)
    return counts


def check_splits(
    samples: Sequence[Sample],
    splits: Mapping[str, Split],
    hashes: Mapping[str, str],
    classes: Sequence[str],
) -> None:
    """Make sure that nothing leaks between splits and that each can be scored.

    Args:
        samples: those that are in a split.
        splits: sample id -> split.
        hashes: sample id -> hash of its file's bytes.
        classes: names of the label indices.

    Raises:
        XattnError: a group or the same bytes are in two splits, or a class is missing from one. Of
            findings, of which one may be rare: from the training, or all of them from the
            validation.
    """
    _same_side("group", samples, splits, [s.group for s in samples])
    _same_side("file content", samples, splits, [hashes[s.id] for s in samples])
    if not exclude_each_other(samples):
        check_findings(samples, splits, classes)
        return
    for split in SPLITS:
        inside = [s for s in samples if splits[s.id] == split]
        if not inside and split in HELD_OUT:
            continue
        counts = count_labels(inside, classes)
        empty = [name for name, count in counts.items() if count == 0]
        if empty:
            shown = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise XattnError(
                f"Expected images of every class in the split {split!r}, but got none of "
                f"{', '.join(empty)} ({shown}); {_more_of(split)}"
            )


def count_splits(
    samples: Sequence[Sample], splits: Mapping[str, Split], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return split -> number of images, groups, and images of each class."""
    counts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        inside = [sample for sample in samples if splits[sample.id] == split]
        sizes = {"images": len(inside), "groups": len(set(groups_of(inside)))}
        counts[split] = {**sizes, **count_labels(inside, classes)}
    return counts


def write_splits(splits: Mapping[str, Split], domains: Mapping[str, str] | None = None) -> str:
    """Return splits as CSV text: image_id, split, domain ("" where it is not known)."""
    known = domains or {}
    rows = ((one, split, known.get(one, "")) for one, split in splits.items())
    return csv_text([("image_id", "split", "domain"), *rows])


def read_splits(path: str | Path) -> dict[str, Split]:
    """Read splits from a CSV with the columns image_id and split; other columns are passed over.

    Raises:
        XattnError: no such file, a column is missing, an unknown split, or an id twice.
    """
    splits: dict[str, Split] = {}
    for line, row in enumerate(_rows(path), start=2):
        if row["split"] not in SPLITS:
            raise XattnError(
                f"Expected {', '.join(SPLITS[:-1])} or {SPLITS[-1]} in {path}, line {line}, "
                f"but got {row['split']!r}{near(str(row['split']), SPLITS)}"
            )
        if row["image_id"] in splits:
            raise XattnError(f"Expected every id once, but got {row['image_id']} twice in {path}")
        splits[row["image_id"]] = row["split"]
    return splits


def read_domains(path: str | Path) -> dict[str, str]:
    """Read image id -> domain from a CSV of splits; ids without one, or all of them, are left out.

    Raises:
        XattnError: no such file, or a column is missing.
    """
    return {row["image_id"]: row["domain"] for row in _rows(path) if row.get("domain")}


def _rows(path: str | Path) -> list[dict[str, Any]]:
    sheet = read_sheet(path, error=XattnError, texts=("image_id", "split", "domain"), doubled=True)
    for column in ("image_id", "split"):
        if column not in sheet.columns:
            raise XattnError(
                f"Expected the columns image_id and split in {path}, but got "
                f"{', '.join(sheet.columns)}"
            )
    return [dict(zip(sheet.columns, map(unguarded, row), strict=True)) for row in sheet.rows]


def units(samples: Sequence[Sample], hashes: Mapping[str, str]) -> NDArray[np.intp]:
    """Number (n,) the sets of samples that a shared group or the same bytes hold together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(samples)
    nodes: dict[tuple[str, str], int] = {}
    edges = []
    for i, sample in enumerate(samples):
        tags = [("bytes", hashes[sample.id])]
        tags += [("group", sample.group)] if sample.group is not None else []
        edges += [(i, n + nodes.setdefault(tag, len(nodes))) for tag in tags]
    rows, cols = np.array(edges).T
    size = n + len(nodes)
    graph = coo_array((np.ones(len(edges)), (rows, cols)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    _, unit = np.unique(component[:n], return_inverse=True)
    return np.asarray(unit, dtype=np.intp)


def _same_side(
    what: str,
    samples: Sequence[Sample],
    splits: Mapping[str, Split],
    keys: Sequence[str | None],
) -> None:
    """Refuse samples that share a key but not a split."""
    first: dict[str, Sample] = {}
    torn = []
    for sample, key in zip(samples, keys, strict=True):
        if key is None:
            continue
        other = first.setdefault(key, sample)
        if splits[other.id] != splits[sample.id]:
            torn.append((key, other, sample))
    if torn:
        key, a, b = torn[0]
        name = f"{what} {key}" if what == "group" else what
        more = f", and {len(torn) - 1} more pairs" if len(torn) > 1 else ""
        raise XattnError(
            f"Expected every {what} in one split, but {name} is in two: {a.id} in "
            f"{splits[a.id]}, {b.id} in {splits[b.id]}{more}; a model is then tested on what it "
            f"was trained on: {_together(a, b)}"
        )


def _together(a: Sample, b: Sample) -> str:
    """Say how two samples come to one side."""
    if "ood" in (a.split, b.split):
        return (
            "choose `ood_values` that hold whole groups, or leave out the images of one side "
            "(a splits.csv without them, given with --splits)"
        )
    return (
        "move them to one side, leave out those of one side, or leave the splits to `xattn train`"
    )


def _more_of(split: Split) -> str:
    """Say how a split comes to images of another class."""
    if split == "ood":
        return "choose other `ood_values` under [data], or none"
    return f"raise `{split}` under [data], or add images of that class in groups of their own"
