"""Text in CSV files that a spreadsheet takes as text, and that reads back as it was.

A spreadsheet runs a cell that begins with = + - @ (or a tab or line end before them) as a formula,
whoever wrote it. Such a cell gets an apostrophe in front, the spreadsheets' own mark of text; one
that begins with apostrophes before such a sign gets one more, so that reading takes one away.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

# The wide forms are formulas too, where a spreadsheet is set to some languages.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def guarded(value: Any) -> Any:
    """Return a cell as it is written; what is no text, and numbers, stay.

    >>> guarded("=1+1"), guarded("-1.2"), guarded(-1.2), guarded("'=x")
    ("'=1+1", '-1.2', -1.2, "''=x")
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def unguarded(value: Any) -> Any:
    """Return what was written as such a cell.

    >>> unguarded("'=1+1"), unguarded("''=x"), unguarded("'x'")
    ('=1+1', "'=x", "'x'")
    """
    if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value):
        return value[1:]
    return value


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    cells = [[guarded(cell) for cell in row] for row in rows]
    flat = (cell for row in cells for cell in row)
    writer = csv.writer(text, lineterminator="\n", quoting=_quoting(flat))
    writer.writerows(cells)
    return text.getvalue()


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, without its index."""
    written = _each(table, guarded)
    texts = (cell for _, column in written.items() if _is_text(column) for cell in column)
    quoting = _quoting([*written.columns, *texts])
    written.to_csv(path, index=False, lineterminator="\n", quoting=quoting)


def _quoting(cells: Iterable[Any]) -> Literal[0, 2]:
    """Return how to quote; Python before 3.13 leaves a lone carriage return bare, a line end."""
    bare = any(isinstance(cell, str) and "\r" in cell for cell in cells)
    return csv.QUOTE_NONNUMERIC if bare else csv.QUOTE_MINIMAL


def unguarded_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it was before it was written."""
    return _each(table, unguarded)


def _each(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    made = table.copy()
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if _is_text(column):
            new = [change(value) for value in column]
            if any(a is not b for a, b in zip(new, column, strict=True)):
                made.isetitem(place, new)
    made.columns = [change(name) for name in table.columns]
    return made


def _is_text(column: pd.Series[Any]) -> bool:
    return column.dtype.kind not in "biufcmM"
