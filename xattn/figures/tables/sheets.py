"""A folder's tables as sheets: rounded, in words, with the chance level in the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from xattn.analysis.groups.found import found_first, too_few
from xattn.figures.tables.cells import Basis, Row, Sheet, SheetColumn
from xattn.figures.tables.columns import shown_columns
from xattn.runs.tables import TABLES

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
        name: of a table that is declared, such as "verdicts"; see `xattn.runs.tables`.
        table: as read from the folder.
        permutations: behind its p-values; the least p-value follows unless a column gives it.
        alpha: level below which an adjusted p-value is marked as significant.

    Raises:
        UsageError: no table has that name.
    """
    value = TABLES.find(name).value
    smallest = None if permutations is None else 1 / (1 + permutations)
    table = shaped(name, table).reset_index(drop=True)
    ordered = with_numbers(name, table, alpha)
    first = ordered[:MOST_ROWS] if value else _first_rows(ordered)
    sheet = whole_sheet(name, first, Basis(smallest, alpha))
    how = Sheet.shown if "p_adjusted" in table and not value else "first"
    places = [int(i) for i in first.index]
    note = left_out(name, table)
    return replace(sheet, total=len(ordered), shown=how, places=places, note=note)


def shaped(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Turn the rows of a file into those that are shown, as the table declares it."""
    turn = TABLES[name].shaped
    return table if turn is None else turn(table)


def with_numbers(name: str, table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Leave rows without numbers out of a table of gaps, and put what is significant first."""
    value = TABLES[name].value
    return found_first(table, value, alpha) if value else table


def left_out(name: str, table: pd.DataFrame) -> str:
    """Say which rows `with_numbers` leaves out; "" if none."""
    value = TABLES[name].value
    if not value:
        return ""
    empty = int(table[value].isna().sum())
    rows = f"{empty:,} row{'' if empty == 1 else 's'} without numbers"
    parts = [too_few(table, value), f"{rows} in {name}.csv alone" if empty else ""]
    return "; ".join(filter(None, parts))


def whole_sheet(name: str, table: pd.DataFrame, tests: Basis) -> Sheet:
    """Turn a table into a sheet with every row, in its order; see `make_sheet`."""
    return sheet_of(name, table, shown_columns(TABLES.find(name), table, tests))


def sheet_of(name: str, table: pd.DataFrame, columns: Sequence[SheetColumn]) -> Sheet:
    """Make a sheet of these columns."""
    records: list[Row] = [{str(k): v for k, v in r.items()} for r in table.to_dict("records")]
    rows = [[cell(record) for _, cell in columns] for record in records]
    return Sheet(name, [head for head, _ in columns], rows, len(table))


def _first_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the order of the file, but rows over all labels first; cut long ones by p-value."""
    if len(table) > MOST_ROWS and "p_adjusted" in table:
        table = table.loc[table["p_adjusted"].sort_values(kind="stable").index[:MOST_ROWS]]
        table = table.sort_index()
    for aligned in ("class", "domain", "label"):
        if aligned in table:
            table = table.loc[(table[aligned] != "all").sort_values(kind="stable").index]
    return table[:MOST_ROWS]
