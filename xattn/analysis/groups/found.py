"""What bias.csv and fairness.csv found, in the order in which a reader wants it."""

from __future__ import annotations

import pandas as pd


def found_first(table: pd.DataFrame, value: str, alpha: float) -> pd.DataFrame:
    """Return the rows with a number: significant ones first, either part by the size of `value`.

    Args:
        table: bias.csv or fairness.csv; its index is kept.
        value: the column that is empty where there were too few images.
        alpha: level of significance.
    """
    known = table[table[value].notna()]
    size = known[value].abs()
    if "metric" in known:  # a ratio is far from even where it is small
        size = size.where(~known["metric"].astype(str).str.endswith("_ratio"), 1 - size)
    order = pd.DataFrame({"open": ~(known["p_adjusted"] < alpha), "size": -size})
    return known.loc[order.sort_values(["open", "size"], kind="stable").index]


def without_numbers(table: pd.DataFrame, value: str) -> list[str]:
    """Name the features that have no number in any row, in the table's order.

    Args:
        table, value: as for `found_first`.

    Returns:
        Their names.
    """
    known = set(table.loc[table[value].notna(), "feature"])
    return [str(name) for name in table["feature"].unique() if name not in known]


def too_few(table: pd.DataFrame, value: str, most: int = 12) -> str:
    """Say in a line which features had too few images; "" if none had.

    Args:
        table, value: as for `found_first`.
        most: so many are named, of more their number.

    Returns:
        One line.
    """
    names = without_numbers(table, value)
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    features = "1 feature has" if len(names) == 1 else f"{len(names)} features have"
    return f"{features} too few images to be compared: {', '.join(names[:most])}{more}"
