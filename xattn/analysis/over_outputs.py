"""Tests of several independent outputs, held together.

p-values are adjusted within an output, as for a run of it alone. Over outputs each is multiplied by
their number: whatever the outputs have to do with each other, the probability of any false finding
in any of them, or its rate where that is what is adjusted for, then stays below the level.
"""

from __future__ import annotations

import math

import pandas as pd

OVER_OUTPUTS = "p_over_outputs"
"""Column of p-values that hold over all outputs that were tested."""


def with_p_over_outputs(table: pd.DataFrame, outputs: int) -> pd.DataFrame:
    """Add the p-values that hold over all outputs, where a table has adjusted ones.

    Args:
        table: of one output or several.
        outputs: how many were tested.

    Returns:
        The table, with the column `p_over_outputs` if it has `p_adjusted`.
    """
    if "p_adjusted" not in table:
        return table
    adjusted = pd.to_numeric(table["p_adjusted"])
    return table.assign(**{OVER_OUTPUTS: (adjusted * outputs).clip(upper=1.0)})


def note_over_outputs(usage: pd.DataFrame, outputs: int, alpha: float, drawn: int) -> str:
    """Say what holds of the dependence tests over all outputs; "" of a single one.

    Args:
        usage: feature_usage.csv of all outputs.
        outputs: how many were tested.
        alpha: level of the tests.
        drawn: permutations behind each p-value, the fewest of any output.
    """
    if outputs < 2 or usage.empty:
        return ""
    used = usage[usage["used"].astype(bool)]
    kept = used[used[OVER_OUTPUTS] < alpha]
    n, hold = (len(rows[["target", "feature"]].drop_duplicates()) for rows in (used, kept))
    said = f"{outputs} outputs were tested, each at level {alpha:g} by itself; "
    if not n:
        said += (
            f"no dependence was found, nor over all of them together ({OVER_OUTPUTS}, Bonferroni)"
        )
    else:
        said += f"over all of them together ({OVER_OUTPUTS}, Bonferroni) {hold} of {n} "
        said += "dependences hold"
    needed = math.ceil(outputs / alpha)
    if drawn < needed:
        said += f", and {drawn:,} permutations cannot show one: --permutations {needed:,}"
    return said
