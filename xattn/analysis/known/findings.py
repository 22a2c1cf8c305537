"""What each kind of evidence of a run says of each feature: is it used, and with which p-value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.known.world import CONTROL
from xattn.analysis.verdicts.rules import SMALLEST_CHANGE
from xattn.runs import RunFolder
from xattn.runs.tables.verdicts import CHANGES, MOVES, SAY_USED

DEPENDENCE, GIVEN, MAP, EDIT, DOSE = "dependence", "given the others", "map", "edit", "dose"
LARGE_EDIT = f"edit, {SMALLEST_CHANGE:g} sd or more"
VERDICT, DECISIONS = "verdict: used", "verdict: changes decisions"
_NO_METHOD = "centre-prior"


def evidence_of(run: RunFolder, alpha: float) -> pd.DataFrame:
    """Return what the tables of a run say, one row per feature and kind of evidence.

    A feature has a row of a kind only where that could be tested; edits where nothing is annotated
    have none, for what they change is not known. `p_value` is unadjusted, of the
    first test of the feature in its table, so that it is one p-value and no least of several.

    Args:
        run: with the tables of `feature_usage`.
        alpha: level of the adjusted p-values.

    Returns:
        Columns feature, kind, evidence, said, p_value and p_adjusted.
    """
    parts = [
        *_dependence(run.table("feature_usage"), alpha),
        *_maps(run.table("alignment"), alpha),
        *_edits(run.table("interventions"), alpha),
        *_tested(run.table("doses"), DOSE, alpha),
        *_verdicts(run.table("verdicts")),
    ]
    columns = ["feature", "kind", "evidence", "said", "p_value", "p_adjusted"]
    return pd.DataFrame(parts, columns=columns)


Row = dict[str, Any]


def _dependence(table: pd.DataFrame, alpha: float) -> Iterator[Row]:
    table = table[~table["test"].str.endswith("(missing)")]
    yield from _tested(table, DEPENDENCE, alpha)
    if "p_given" in table:
        given = table.assign(p_value=table["p_given"], p_adjusted=table["p_given_adjusted"])
        yield from _tested(given, GIVEN, alpha)


def _maps(table: pd.DataFrame, alpha: float) -> Iterator[Row]:
    rows = table[(table["label"] == "all") & (table["method"] != _NO_METHOD)]
    for method, of_method in rows.groupby("method", sort=False):
        # Two-sided: a map that avoids a feature is no sign that it is used.
        more = of_method["lift_over_chance"] > 1
        for row in _tested(of_method, f"{MAP}: {method}", alpha):
            more_of_it = more[of_method["feature"] == row["feature"]]
            yield row | {"said": bool(row["said"] and more_of_it.any())}


def _edits(table: pd.DataFrame, alpha: float) -> Iterator[Row]:
    table = table[table["kind"] != CONTROL]
    yield from _tested(table, EDIT, alpha)
    # Any edit is significant in the end: the verdict asks for this size too.
    large = table["excess_logit"].abs() >= SMALLEST_CHANGE * table["score_sd"]
    sure = set(table.loc[large & (table["p_adjusted"] < alpha), "feature"])
    for row in _tested(table, LARGE_EDIT, alpha):
        yield row | {"said": row["feature"] in sure}


def _tested(table: pd.DataFrame, evidence: str, alpha: float) -> Iterator[Row]:
    """Yield a row per feature: used if any of its tests is significant."""
    known = table[table["p_value"].notna()]
    for feature, rows in known.groupby("feature", sort=False):
        adjusted = rows["p_adjusted"].min()
        yield {
            "feature": feature,
            "kind": rows["kind"].iloc[0],
            "evidence": evidence,
            "said": bool(adjusted < alpha),
            "p_value": float(rows["p_value"].iloc[0]),
            "p_adjusted": float(adjusted),
        }


def _verdicts(table: pd.DataFrame) -> Iterator[Row]:
    # Of several p-values behind a verdict the least: how sure it was at best.
    tests = ["p_adjusted", "p_given_adjusted", "intervention_p", "slope_p"]
    least = table[tests].astype(float).min(axis=1)
    for evidence, words in ((VERDICT, SAY_USED), (DECISIONS, (CHANGES, MOVES))):
        said = table["verdict"].isin(list(words))
        for row in zip(table["feature"], table["kind"], said, least, strict=True):
            yield {
                "feature": row[0], "kind": row[1], "evidence": evidence, "said": bool(row[2]),
                "p_value": np.nan, "p_adjusted": float(row[3]),
            }  # fmt: skip
