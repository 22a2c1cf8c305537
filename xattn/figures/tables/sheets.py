"""A folder's tables as sheets: rounded, in words, with the chance level in the head."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from xattn.errors import UsageError, near
from xattn.figures.tables.cells import Basis, Columns, Row, Sheet
from xattn.figures.tables.columns import COLUMNS

MOST_ROWS = 400
"""Rows of a table that go into the page; the rest stays in the CSV file."""


def make_sheet(
    name: str,
    table: pd.DataFrame,
    permutations: int | None = None,
    alpha: float = 0.05,
) -> Sheet:
    """Turn one of a folder's tables into a sheet.

    Args:
        name: "verdicts", "alignment", "feature_usage", "interventions", "agreement", "bias",
            "fairness", "trap", "performance" or "comparison".
        table: as read from the folder.
        permutations: behind its p-values; the least p-value follows unless a column gives it.
        alpha: level below which an adjusted p-value is marked as significant.

    Raises:
        UsageError: there is no sheet of that name.
    """
    smallest = None if permutations is None else 1 / (1 + permutations)
    first = _first_rows(table)
    sheet = whole_sheet(name, first, Basis(smallest, alpha))
    how = Sheet.shown if "p_adjusted" in table else "first"
    return replace(sheet, total=len(table), shown=how, places=[int(i) for i in first.index])


def whole_sheet(name: str, table: pd.DataFrame, tests: Basis) -> Sheet:
    """Turn a table into a sheet with every row, in its order; see `make_sheet`."""
    if name not in COLUMNS:
        raise UsageError(f"Unknown sheet {name!r}{near(name, COLUMNS)}")
    return sheet_of(name, table, COLUMNS[name](table, tests))


def sheet_of(name: str, table: pd.DataFrame, columns: Columns) -> Sheet:
    """Make a sheet of these columns."""
    kept = [c for c in columns if c is not None]
    records: list[Row] = [{str(k): v for k, v in r.items()} for r in table.to_dict("records")]
    rows = [[cell(record) for _, cell in kept] for record in records]
    return Sheet(name, [head for head, _ in kept], rows, len(table))


def _first_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the order of the file, but rows over all labels first; cut long ones by p-value."""
    table = table.reset_index(drop=True)
    if len(table) > MOST_ROWS and "p_adjusted" in table:
        table = table.loc[table["p_adjusted"].sort_values(kind="stable").index[:MOST_ROWS]]
        table = table.sort_index()
    for together in ("class", "domain", "label"):
        if together in table:
            table = table.loc[(table[together] != "all").sort_values(kind="stable").index]
    return table[:MOST_ROWS]
