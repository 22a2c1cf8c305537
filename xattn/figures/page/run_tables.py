"""What findings and facts read from a run's tables, and how they word single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xattn.figures.numbers import fixed, with_interval
from xattn.figures.paper.alignment import ALL_LABELS
from xattn.figures.run_sources import RunSources
from xattn.stats.intervals import Rate


class Tables:
    """The tables that are there, ready for the sentences; absent ones are None."""

    def __init__(self, sources: RunSources) -> None:
        self.sources = sources
        self.alignment = sources.table("alignment")
        self.usage = sources.table("feature_usage")
        self.bias = sources.table("bias")
        self.interventions = sources.table("interventions")
        self.agreement = sources.table("agreement")
        self.fairness = sources.table("fairness")
        self.verdicts = sources.table("verdicts")

    def ranked(self, method: str) -> pd.DataFrame:
        """Rows of one method over all labels, the largest lift over chance first."""
        assert self.alignment is not None
        table = self.alignment
        rows = table[(table["method"] == method) & (table["label"] == ALL_LABELS)]
        rows = rows[rows["lift"].notna()]
        chance = rows["chance_lift"] if "chance_lift" in rows else pd.Series(1.0, rows.index)
        over = rows["lift_over_chance"] if "lift_over_chance" in rows else rows["lift"] / chance
        rows = rows.assign(over=over.fillna(rows["lift"]))
        return rows.sort_values("over", ascending=False, kind="stable")

    def fine(self, method: str) -> pd.DataFrame:
        """Rows of `ranked` but those of which the map is too coarse to say anything."""
        rows = self.ranked(method)
        return rows[~_too_coarse(rows)]

    def too_coarse(self, method: str) -> pd.DataFrame:
        """The other rows of `ranked`."""
        rows = self.ranked(method)
        return rows[_too_coarse(rows)]

    def apart_from_chance(self, method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split the significant rows of `fine` into those above and those below chance."""
        rows = self.fine(method)
        rows = rows[rows["p_adjusted"] < self.sources.alpha]
        return rows[rows["over"] > 1], rows[rows["over"] <= 1]


def lift(row: pd.Series[Any]) -> str:
    """Write a lift with its interval."""
    return with_interval(float(row["lift"]), float(row["lift_low"]), float(row["lift_high"]))


def chance_of(row: pd.Series[Any]) -> str:
    """Write the lift that chance gives, after a semicolon; "" where it is not known."""
    chance = float(row.get("chance_lift", np.nan))
    return f"; by chance {fixed(chance)}" if np.isfinite(chance) else ""


def _too_coarse(rows: pd.DataFrame) -> pd.Series[bool]:
    if "too_coarse" not in rows:
        return pd.Series(False, index=rows.index)
    return rows["too_coarse"].isin([True, "True"])


def used_rows(table: pd.DataFrame, controls: bool = False) -> pd.DataFrame:
    """Return the rows of features that are used, of real ones or of controls."""
    used = table["used"].isin([True, "True"])
    return table[used & ((table["kind"] == "control") == controls)]


def features(table: pd.DataFrame, controls: bool = False) -> list[str]:
    """Name the features of a table, real ones or controls, each once."""
    table = table[(table["kind"] == "control") == controls]
    return list(dict.fromkeys(table["feature"].astype(str)))


def rate(found: Rate) -> str:
    """Write a rate with its interval."""
    return with_interval(found.value, found.low, found.high)
