"""Cells, heads and sheets, and what stands in a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LAST = 1e300
"""Sorts what is not known after every number."""


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a sheet.

    Attributes:
        text: as shown.
        sort: the value to sort by.
        parts: column of the CSV file -> value there, rounded as in `text`.
        mark: of significance: "", "*", "**" or "***".
        best: whether it is the best of the models beside each other.
        brief: what stands for a long text where there is little room; "" if nothing does.
    """

    text: str
    sort: float | str
    parts: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""
    best: bool = False
    brief: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column.

    Attributes:
        title, note: its name; the level of chance or another note on it.
        numeric: whether its cells are numbers.
        printed: whether there is room for it on paper.
        model: whose numbers these are where several models stand beside each other.
    """

    title: str
    note: str = ""
    numeric: bool = True
    printed: bool = True
    model: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written out.

    Attributes:
        name: of the CSV file, without its ending.
        heads, rows: columns and cells.
        total: rows of the file; more than len(rows) if it was too long.
        shown: which rows those are then, in words: "of least adjusted p" or "first".
        places: of each row in the file, from 0; empty where rows are not those of a file.
        note: what is to be said of rows that are not among them; "" for nothing.
    """

    name: str
    heads: list[Head]
    rows: list[list[Cell]]
    total: int
    shown: str = "of least adjusted p"
    places: list[int] = field(default_factory=list)
    note: str = ""


Row = Mapping[str, Any]
SheetColumn = tuple[Head, Callable[[Row], Cell]]


@dataclass(frozen=True)
class Basis:
    """What must be known of the tests behind a table.

    Attributes:
        smallest: the least p-value that could have come out, None if it is not known.
        alpha: level below which an adjusted p-value counts as significant.
    """

    smallest: float | None = None
    alpha: float = 0.05

    @property
    def levels(self) -> list[float]:
        """Levels that one, two and three stars stand for."""
        return [self.alpha, *(level for level in (0.01, 0.001) if level < self.alpha)]

    def mark(self, row: Row, key: str) -> str:
        """Return the stars of an adjusted p-value; none where there is no p-value."""
        p = float(row[key]) if key and not missing(row[key]) else math.nan
        return "*" * sum(p < level for level in self.levels)


def missing(value: object) -> bool:
    """Say whether a table has no value here."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def sortable(value: Any) -> float:
    """Return a number to sort by; what is not known goes last."""
    as_number = float(value)
    return as_number if math.isfinite(as_number) else LAST


def plain(value: float, places: int) -> str:
    """Write a number for a program: that many decimals, "" for what is not known.

    >>> plain(-0.04, 1), plain(1234.56, 1), plain(float("nan"), 1)
    ('0.0', '1234.6', '')
    """
    if not math.isfinite(value):
        return ""
    written = f"{value:.{places}f}"
    return written if any(c in "123456789" for c in written) else written.lstrip("-")
