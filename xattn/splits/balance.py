"""How alike splits are: the composition of each, and how far apart chance alone would put them.

Images of a group are no independent draws, so groups are permuted: whole groups, and copies of a
file with them, are assigned anew to splits of as many groups. A column is unlike if hardly any
permutation puts the splits as far apart, in the sense of chi-square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.runs.csv_text import csv_text
from xattn.splits.metadata import Trait
from xattn.splits.samples import (
    ABSENT,
    NOT_KNOWN,
    SHOWN,
    SPLITS,
    Sample,
    Split,
    answers_of,
    exclude_each_other,
    labels_of,
)
from xattn.splits.splits import size_class, units
from xattn.stats.adjust import permuted_p

LEVEL = 0.05
"""Adjusted chance below which splits are called unlike."""
ALIKE_CSV = "splits_alike.csv"

_COMPARED: tuple[Split, ...] = ("train", "val", "test")
_PERMUTATIONS = 999
_AT_ONCE = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnBalance:
    """One column in the splits.

    Attributes:
        name: "label", "group size", or that of a metadata column.
        values: what it is counted by.
        counts: images (splits, values), rows as in `SPLITS`.
        chi_square: of train, val and test, of those that have images.
        p: how often permuted groups are as far apart; in (0, 1].
        adjusted_p: the same of all columns at once (Westfall and Young), so that one of many
            columns is not called unlike by chance.
    """

    name: str
    values: tuple[str, ...]
    counts: NDArray[np.intp]
    chi_square: float
    p: float
    adjusted_p: float

    @property
    def compared(self) -> tuple[Split, ...]:
        """Those of train, val and test that have images."""
        return tuple(s for s in _COMPARED if self.counts[SPLITS.index(s)].any())

    @property
    def fractions(self) -> Floats:
        """Fraction of each split's images that have each value (splits, values); NaN of none."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.where(totals > 0, self.counts / np.maximum(totals, 1), np.nan)

    def __str__(self) -> str:
        """Return the value in which the splits are furthest apart, in percent of each."""
        compared = self.fractions[[SPLITS.index(split) for split in self.compared]]
        # Of equals the last: that a flag is 1 says more than that it is 0.
        apart = np.round(np.ptp(compared, axis=0), 9)
        most = len(apart) - 1 - int(np.argmax(apart[::-1]))
        parts = ", ".join(
            f"{100 * fraction:.1f} % of {split}"
            for split, fraction in zip(self.compared, compared[:, most], strict=True)
        )
        return f"{self.values[most]!r}: {parts}"


@dataclass(frozen=True)
class SplitBalance:
    """How alike the splits are, column by column.

    Attributes:
        columns: label, group size and metadata; none if there is only one split to look at.
    """

    columns: tuple[ColumnBalance, ...] = ()

    @property
    def unlike(self) -> tuple[str, ...]:
        """A line for every column in which the splits differ by more than chance."""
        return tuple(
            f"{_listed(one.compared)} are not alike in {one.name} (chance {one.adjusted_p:.3f}): "
            f"{one}"
            for one in sorted(self.columns, key=lambda one: one.p)
            if one.adjusted_p < LEVEL
        )

    def table(self) -> str:
        """Return a line per column: chi-square, its chance, and the value furthest apart."""
        if not self.columns:
            return ""
        width = max(len(one.name) for one in self.columns)
        head = f"{'alike in':<{width}}  chi-square  chance  furthest apart"
        rows = [f"{c.name:<{width}}  {c.chi_square:10.2f}  {c.p:6.3f}  {c}" for c in self.columns]
        return "\n".join([head, *rows])

    def to_csv(self) -> str:
        """Return a row per column and value: images and fraction per split, and the chances."""
        counts = [f"n_{split}" for split in SPLITS]
        rows = [("column", "value", *SPLITS, *counts, "chi_square", "p", "adjusted_p")]
        for one in self.columns:
            chances = (f"{one.chi_square:.6g}", f"{one.p:.6g}", f"{one.adjusted_p:.6g}")
            for i, value in enumerate(one.values):
                fractions = ["" if np.isnan(f) else f"{f:.6f}" for f in one.fractions[:, i]]
                rows.append((one.name, value, *fractions, *map(str, one.counts[:, i]), *chances))
        return csv_text(rows)


def compare_splits(
    samples: Sequence[Sample],
    splits: Mapping[str, Split],
    hashes: Mapping[str, str],
    classes: Sequence[str],
    traits: Mapping[str, Trait],
) -> SplitBalance:
    """Compare train, val and test by label, size of group and metadata.

    Images of the split `ood` are meant to be others: they are counted, and not compared.

    Args:
        samples: those that are in a split.
        splits: sample id -> split.
        hashes: sample id -> hash of its file's bytes.
        classes: names of the label indices.
        traits: metadata column -> sample id -> value.
    """
    where = np.array([SPLITS.index(splits[s.id]) for s in samples])
    compared = np.isin(where, [SPLITS.index(split) for split in _COMPARED])
    if len(np.unique(where[compared])) < 2:
        return SplitBalance()
    unit = units(samples, hashes)
    sizes = np.bincount(unit)
    named = {
        **_labels(samples, classes),
        "group size": [size_class(int(sizes[u])) for u in unit],
        **{name: [trait[s.id] for s in samples] for name, trait in traits.items()},
    }
    coded = {name: _coded(column) for name, column in named.items()}
    coded = {name: (values, code) for name, (values, code) in coded.items() if len(values) > 1}
    if not coded:
        return SplitBalance()
    blocks = [len(values) for values, _ in coded.values()]
    # Of every unit its images by value, all columns side by side.
    made = np.zeros((len(sizes), sum(blocks)), dtype=np.float32)
    offset = 0
    for values, code in coded.values():
        np.add.at(made, (unit[compared], offset + code[compared]), 1)
        offset += len(values)
    home = np.full(len(sizes), -1)
    home[unit[compared]] = where[compared]
    inside = home >= 0
    statistics = np.concatenate(list(_statistics(made[inside], home[inside], blocks)))
    p_values = permuted_p(np.round(statistics, 6))
    # Single-step minP (Westfall and Young): how often the least p of all columns is as small.
    adjusted = (p_values.min(axis=1)[:, None] <= p_values[0]).mean(axis=0)
    return SplitBalance(
        tuple(
            ColumnBalance(name, values, _table(where, code), float(statistics[0, i]), p, q)
            for i, ((name, (values, code)), p, q) in enumerate(
                zip(coded.items(), p_values[0].tolist(), adjusted.tolist(), strict=True)
            )
        )
    )


def _labels(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, list[str]]:
    """Return the label of each image, or what is known of each finding."""
    if exclude_each_other(samples):
        return {"label": [classes[label] for label in labels_of(samples)]}
    said = {SHOWN: "shown", ABSENT: "absent", NOT_KNOWN: "not known"}
    known = answers_of(samples).T.tolist()
    return {
        f"label {name}": [said[one] for one in column]
        for name, column in zip(classes, known, strict=True)
    }


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _coded(column: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the values of a column, the classes and sizes as they come, and each image's."""
    values = {value: i for i, value in enumerate(sorted(set(column), key=_natural))}
    return tuple(values), np.array([values[one] for one in column], dtype=np.intp)


def _natural(value: str) -> tuple[float, str]:
    """Sort "2 images" before "16 to 31 images", and texts by the alphabet."""
    first = value.split(" ", 1)[0]
    return (float(first) if first.isdecimal() else np.inf, value)


def _table(where: NDArray[np.intp], code: NDArray[np.intp]) -> NDArray[np.intp]:
    counts = np.zeros((len(SPLITS), code.max() + 1), dtype=np.intp)
    np.add.at(counts, (where, code), 1)
    return counts


def _statistics(
    made: NDArray[np.float32], home: NDArray[np.intp], blocks: Sequence[int]
) -> Iterator[Floats]:
    """Yield chi-squares (permutations, columns), first those of the splits there are."""
    splits = np.unique(home)
    rng = np.random.default_rng(0)
    homes, left = home[None], _PERMUTATIONS
    while True:
        # Whole numbers below 2^24: their sums are exact in any order.
        held = np.stack([(homes == split).astype(np.float32) @ made for split in splits], axis=1)
        yield _chi_squares(held.astype(np.float64), blocks)
        if not left:
            return
        at_once = min(_AT_ONCE, left)
        homes, left = rng.permuted(np.tile(home, (at_once, 1)), axis=1), left - at_once


def _chi_squares(held: Floats, blocks: Sequence[int]) -> Floats:
    """Return chi-squares (permutations, columns).

    Args:
        held: images (permutations, splits, values of all columns).
        blocks: number of values of each column.
    """
    ends = np.cumsum(blocks)
    totals = held.sum(axis=1, keepdims=True)
    of_split = held[:, :, : ends[0]].sum(axis=2, keepdims=True)
    expected = of_split * totals / of_split.sum(axis=1, keepdims=True)
    cells = np.divide((held - expected) ** 2, expected, where=expected > 0, out=np.zeros_like(held))
    starts = [0, *ends[:-1].tolist()]
    return np.asarray(np.add.reduceat(cells.sum(axis=1), starts, axis=1))
