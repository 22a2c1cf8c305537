"""A folder's tables as sheets: rounded, in words, with the chance level in the head."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from xattn.analysis.groups.found import VALUES, found_first, too_few
from xattn.errors import UsageError, near
from xattn.figures.tables.cells import Basis, Columns, Row, Sheet
from xattn.figures.tables.columns import COLUMNS, PREDICTED

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
            "fairness", "trap", "performance", "confusion" or "comparison".
        table: as read from the folder.
        permutations: behind its p-values; the least p-value follows unless a column gives it.
        alpha: level below which an adjusted p-value is marked as significant.

    Raises:
        UsageError: there is no sheet of that name.
    """
    smallest = None if permutations is None else 1 / (1 + permutations)
    table = shaped(name, table).reset_index(drop=True)
    ordered = with_numbers(name, table, alpha)
    first = _first_rows(ordered) if name not in VALUES else ordered[:MOST_ROWS]
    sheet = whole_sheet(name, first, Basis(smallest, alpha))
    how = Sheet.shown if "p_adjusted" in table and name not in VALUES else "first"
    places = [int(i) for i in first.index]
    note = left_out(name, table)
    return replace(sheet, total=len(ordered), shown=how, places=places, note=note)


def shaped(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Turn confusion.csv into a row a split and label with a column a predicted class, which is
    called after it behind `PREDICTED`; leave other tables as they are."""
    if name != "confusion":
        return table
    rows = []
    for (split, label), own in table.groupby(["split", "label"], sort=False):
        counts = dict(zip(own["predicted"].astype(str), own["n"], strict=True))
        row = {"split": split, "label": str(label), "images": own["images"].iloc[0]}
        row |= {f"{PREDICTED}{predicted}": n for predicted, n in counts.items()}
        hit = own[own["predicted"].astype(str) == str(label)].iloc[0]
        rows.append(row | {key: hit[key] for key in ("value", "low", "high", "chance")})
    return pd.DataFrame(rows)


def with_numbers(name: str, table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Leave rows without numbers out of a table of gaps, and put what is significant first."""
    return found_first(table, VALUES[name], alpha) if name in VALUES else table


def left_out(name: str, table: pd.DataFrame) -> str:
    """Say which rows `with_numbers` leaves out; "" if none."""
    if name not in VALUES:
        return ""
    empty = int(table[VALUES[name]].isna().sum())
    rows = f"{empty:,} row{'' if empty == 1 else 's'} without numbers"
    parts = [too_few(table, VALUES[name]), f"{rows} in {name}.csv alone" if empty else ""]
    return "; ".join(filter(None, parts))


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
    if len(table) > MOST_ROWS and "p_adjusted" in table:
        table = table.loc[table["p_adjusted"].sort_values(kind="stable").index[:MOST_ROWS]]
        table = table.sort_index()
    for together in ("class", "domain", "label"):
        if together in table:
            table = table.loc[(table[together] != "all").sort_values(kind="stable").index]
    return table[:MOST_ROWS]
