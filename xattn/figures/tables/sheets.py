"""A folder's tables as sheets: rounded, in words, with the chance level in the head."""

from __future__ import annotations

import pandas as pd

from xattn.errors import UsageError, near
from xattn.figures.tables.cells import Row, Sheet
from xattn.figures.tables.columns import COLUMNS

MOST_ROWS = 400
"""Rows of a table that go into the page; the rest stays in the CSV file."""


def make_sheet(name: str, table: pd.DataFrame, permutations: int | None = None) -> Sheet:
    """Turn one of a folder's tables into a sheet.

    Args:
        name: "verdicts", "alignment", "feature_usage", "interventions", "agreement", "bias",
            "fairness", "performance" or "comparison".
        table: as read from the folder.
        permutations: behind its p-values; the least p-value follows unless a column gives it.

    Raises:
        UsageError: there is no sheet of that name.
    """
    if name not in COLUMNS:
        raise UsageError(f"Unknown sheet {name!r}{near(name, COLUMNS)}")
    smallest = None if permutations is None else 1 / (1 + permutations)
    columns = [c for c in COLUMNS[name](table, smallest) if c is not None]
    shown = _first_rows(table)
    records: list[Row] = [{str(k): v for k, v in r.items()} for r in shown.to_dict("records")]
    rows = [[cell(record) for _, cell in columns] for record in records]
    how = Sheet.shown if "p_adjusted" in table else "first"
    return Sheet(name, [head for head, _ in columns], rows, len(table), how)


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
