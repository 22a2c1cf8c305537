"""verdicts.csv: dependence, maps and edits of each feature side by side, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from xattn.analysis.verdicts.edits import Edit, Row, edits_of
from xattn.analysis.verdicts.rules import (
    SMALLEST_CHANGE,
    SMALLEST_EFFECT,
    Dependence,
    Limits,
    decide,
    shown_used,
)
from xattn.analysis.verdicts.settling import would_settle
from xattn.runs.tables.verdicts import HARDLY, MOVES

_POWER = 0.8
_GIVEN = (
    "p_given_adjusted",
    "effect_given",
    "effect_given_low",
    "effect_given_high",
    "p_equivalent",
    "explained_by",
)


def verdict_table(
    usage: pd.DataFrame,
    interventions: pd.DataFrame,
    alignment: pd.DataFrame,
    doses: pd.DataFrame | None = None,
    *,
    alpha: float = 0.05,
    smallest_change: float = SMALLEST_CHANGE,
    smallest_effect: float = SMALLEST_EFFECT,
    decides: bool = True,
    all_held: bool = True,
) -> pd.DataFrame:
    """Return verdicts.csv: one row per feature.

    The rules stand in `xattn.analysis.verdicts.rules`; in short, the first of these that holds:

    - an edit, single or graded, moves the score significantly, by at least `smallest_change` more
      than its control does, and flips significantly more decisions: used, it changes decisions;
    - the same, without more flips: it hardly does;
    - all edits are shown to stay within +- `smallest_change`: it comes with another feature if the
      score depends on it, else it is not used;
    - dependent, also given all other features: used beyond these;
    - dependent, but given the others it adds less than what matters: it comes with another feature,
      the one that `explained_by` names;
    - dependent, and neither is shown: itself or a correlate;
    - not dependent, and shown to be less than what matters: not used;
    - else not testable.

    Dependent is what the row of least p-value says, of presence, area, count or value; of whether
    the value is known at all only where the value could not be tested.

    Each of the two tables of edits, and each of the two tests of dependence, is adjusted by itself.

    Args:
        usage: feature_usage.csv.
        interventions: interventions.csv, may be empty.
        alignment: alignment.csv, may be empty; its lifts stand beside the rest, but for those of
            maps that are too coarse for the feature.
        doses: doses.csv, if there is one.
        alpha: level.
        smallest_change: below so many standard deviations of the score within labels (`score_sd`),
            a change does not matter.
        smallest_effect: rank effect that a feature must stay below to be called not used.
        decides: whether the model decides between classes; where it gives a value, an edit that
            changes the score changes the value.
        all_held: whether all other features were held fixed, and not some by name; only then is
            anything used beyond them all.
    """
    limits = Limits(alpha, smallest_change, smallest_effect, all_held)
    graded = pd.DataFrame() if doses is None else doses
    usage = _of_values(usage[usage["kind"] != "control"]) if len(usage) else usage
    tables = [_by_feature(table) for table in (usage, interventions, graded)]
    names = dict.fromkeys(name for table in tables for name in table)
    tests = int(usage["p_value"].notna().sum()) if len(usage) else 0
    rows: dict[str, Row] = {}
    edits: dict[str, list[Edit]] = {}
    for name in names:
        tested, edited, dosed = (table.get(name, []) for table in tables)
        if any(row["kind"] == "control" for row in edited):
            continue
        edits[name] = edits_of(edited, dosed, alpha)
        rows[name] = {
            "feature": name,
            "kind": str((tested or edited or dosed)[0]["kind"]),
            **_dependence(tested, alpha, tests),
            **_intervention(edited),
            **_attention(alignment, name),
            **_graded(dosed, edits[name]),
        }
    depends = {name: Dependence.of(row, limits) for name, row in rows.items()}
    used = {name for name in rows if shown_used(edits[name], depends[name], limits)}
    for name, row in rows.items():
        same = {one.strip() for one in str(row.pop("nearly_the_same")).split(",")}
        others = used - same - {name}
        found = decide(edits[name], depends[name], others, limits)
        row["verdict"] = MOVES if found.verdict == HARDLY and not decides else found.verdict
        row["decided_by"] = found.decided_by or np.nan
        row["contradicts"] = "; ".join(found.contradicts) or np.nan
        row["would_settle"] = would_settle(row, found, edits[name], others, limits)
    return pd.DataFrame(list(rows.values())).drop(columns="error", errors="ignore")


def _by_feature(table: pd.DataFrame) -> dict[str, list[Row]]:
    """Return the rows of each feature, in the order of the table."""
    found: dict[str, list[Row]] = {}
    for row in table.to_dict("records"):
        found.setdefault(str(row["feature"]), []).append({str(k): v for k, v in row.items()})
    return found


def _strongest(rows: Sequence[Row]) -> Row | None:
    """Return the row of least p-value, the first of several; None where none was tested."""
    tested = [row for row in rows if pd.notna(row["p_value"])]
    return min(tested, key=lambda r: (_last(r["p_adjusted"]), r["p_value"]), default=None)


def _last(p: float) -> float:
    return float(p) if pd.notna(p) else np.inf


def _of_values(usage: pd.DataFrame) -> pd.DataFrame:
    """Leave out whether values are known, where the values themselves could be tested.

    Of several features that are missing together it is a finding of its own, and no verdict.
    """
    missing = usage["test"].str.endswith("(missing)")
    tested = set(usage.loc[~missing & usage["p_value"].notna(), "feature"])
    named = set(usage.loc[~missing, "feature"])
    return usage[~missing | (usage["feature"].isin(named) & ~usage["feature"].isin(tested))]


def _dependence(tested: Sequence[Row], alpha: float, tests: int) -> Row:
    """Return the row of the test with the least p-value, and what could have been found."""
    best = _strongest(tested)
    if best is None:
        numbers = ("test", "n", "p_adjusted", "effect_bits", "rank_effect", "detectable_effect")
        return dict.fromkeys((*numbers, *_GIVEN, "nearly_the_same", "error"), np.nan) | {
            "used": False
        }
    needed = norm.isf(alpha / (2 * max(1, tests))) + norm.ppf(_POWER)
    return {
        "test": best["test"],
        "n": int(best["n"]),
        "p_adjusted": best["p_adjusted"],
        "used": bool(best["used"]),
        "effect_bits": best["effect_bits"],
        "rank_effect": best["rank_effect"],
        "detectable_effect": float(min(1.0, needed * best["rank_effect_error"])),
        "error": best["rank_effect_error"],
        **{name: best.get(name, np.nan) for name in (*_GIVEN, "nearly_the_same")},
    }


def _intervention(edits: Sequence[Row]) -> Row:
    """Return the edit with the least p-value."""
    columns = ("excess_logit", "excess_low", "excess_high", "flip_rate", "control_flip_rate")
    best = _strongest(edits)
    if best is None:
        return dict.fromkeys(("intervention", *columns, "intervention_p", "masks"), np.nan)
    return {
        "intervention": best["intervention"],
        **{name: best[name] for name in columns},
        "intervention_p": best["p_adjusted"],
        "masks": best.get("masks", np.nan),
    }


def _attention(alignment: pd.DataFrame, name: str) -> Row:
    """Return each method's lift over what the masks of other images get, and its p-value.

    None of a map that is too coarse for the feature: it says nothing of it.
    """
    if not len(alignment):
        return {}
    rows = alignment[(alignment["feature"] == name) & (alignment["label"] == "all")]
    every = alignment["method"].drop_duplicates()
    found: dict[str, Any] = {}
    for method in every[every != "centre-prior"]:
        mine = rows[rows["method"] == method]
        coarse = bool(len(mine)) and mine.iloc[0].get("too_coarse") in (True, "True")
        shown = len(mine) and not coarse
        found[f"lift_over_chance_{method}"] = mine["lift_over_chance"].iloc[0] if shown else None
        found[f"lift_p_{method}"] = mine["p_adjusted"].iloc[0] if shown else None
        if "too_coarse" in mine and len(mine):
            found[f"too_coarse_{method}"] = coarse
    return found


def _graded(doses: Sequence[Row], edits: Sequence[Edit]) -> Row:
    """Return the slope of the graded edit of least p-value, and what else these edits change."""
    columns = ("slope", "slope_low", "slope_high")
    best = _strongest(doses)
    graded = {one.name: one for one in edits if one.graded}
    if best is None:
        numbers = (*columns, "slope_p", "slope_change", "slope_change_low", "slope_change_high")
        return dict.fromkeys(("graded_edit", *numbers, "changed_with", "caveat"), np.nan)
    own = graded[str(best["intervention"])]
    return {
        "graded_edit": own.name,
        **{column: best[column] for column in columns},
        "slope_p": best["p_adjusted"],
        "slope_change": own.change,
        "slope_change_low": own.low,
        "slope_change_high": own.high,
        "changed_with": "; ".join(own.changed_with) or np.nan,
        "caveat": " ".join(dict.fromkeys(o.caveat for o in graded.values() if o.caveat)) or np.nan,
    }
