"""Cells, heads and sheets, and the kinds of columns they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xattn.figures.numbers import NOT_KNOWN, fixed, p_value, readable, with_interval

LAST = 1e300
"""Sorts what is not known after every number."""


@dataclass(frozen=True)
class Cell:
    """Text to show and the value to sort by."""

    text: str
    sort: float | str


@dataclass(frozen=True)
class Head:
    """Title of a column, the level of chance or another note below it, and its alignment."""

    title: str
    note: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written out.

    Attributes:
        name: of the CSV file, without its ending.
        heads, rows: columns and cells.
        total: rows of the file; more than len(rows) if it was too long.
        shown: which rows those are then, in words: "of least adjusted p" or "first".
    """

    name: str
    heads: list[Head]
    rows: list[list[Cell]]
    total: int
    shown: str = "of least adjusted p"


Row = Mapping[str, Any]
Column = tuple[Head, Callable[[Row], Cell]]
Columns = list[Column | None]


def text(title: str, key: str, words: Mapping[str, str] | None = None) -> Column:
    """Make a column of words; `words` says what stands for a value, else it is made readable."""

    def cell(row: Row) -> Cell:
        value = "" if missing(row[key]) else str(row[key])
        shown = (words or {}).get(value, readable(value))
        return Cell(shown or NOT_KNOWN, shown)

    return Head(title, numeric=False), cell


def number(title: str, key: str, places: int, note: str = "") -> Column:
    """Make a column of numbers with that many decimals."""

    def cell(row: Row) -> Cell:
        return Cell(fixed(float(row[key]), places), sortable(row[key]))

    return Head(title, note), cell


def interval(title: str, keys: Sequence[str], note: str, factor: float = 1.0) -> Column:
    """Make a column of numbers with intervals, rounded to them; `keys` of value, low, high."""

    def cell(row: Row) -> Cell:
        value, low, high = (factor * float(row[k]) for k in keys)
        return Cell(with_interval(value, low, high), sortable(value))

    return Head(title, note), cell


def p(title: str, key: str, note: str, smallest: float | None = None) -> Column:
    """Make a column of p-values; those of `p_value` at the floor are shown as bounds."""

    def cell(row: Row) -> Cell:
        least = row.get("smallest_p", smallest) if key == "p_value" else None
        return Cell(p_value(float(row[key]), least), sortable(row[key]))

    return Head(title, note), cell


def used() -> Column:
    """Make the column that says in words what a usage test found."""

    def cell(row: Row) -> Cell:
        if missing(row["p_adjusted"]):
            return Cell("not tested", 2)
        return Cell("used", 0) if row["used"] in (True, "True") else Cell("not shown", 1)

    return Head("verdict", numeric=False), cell


def missing(value: object) -> bool:
    """Say whether a table has no value here."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def sortable(value: Any) -> float:
    """Return a number to sort by; what is not known goes last."""
    as_number = float(value)
    return as_number if math.isfinite(as_number) else LAST
