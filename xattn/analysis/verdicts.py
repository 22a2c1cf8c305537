"""One line a feature: dependence, attention and intervention side by side, and what follows.

A dependence within labels may come through a correlate, which may not have been annotated; a map
may fall on what the model ignores, and an edit leaves traces of its own. Where they agree a verdict
is safe; where they do not, it says which is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from xattn.runs.tables.verdicts import (
    BEYOND,
    CHANGES,
    COMES_WITH,
    HARDLY,
    MOVES,
    NOT_TESTABLE,
    NOT_USED,
    UNCLEAR,
)

SMALLEST_CHANGE = 0.2
"""Standard deviations of the score within labels: Cohen's small effect (Cohen 1988)."""
SMALLEST_EFFECT = 0.3
"""Rank effect that a feature must be shown to stay below to be called not used."""
_POWER = 0.8
_ONE_SIDED = float(norm.isf(0.05))


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

    Rules, in this order, an edit being significant if its p_adjusted < alpha:

    - an edit changes the score significantly, by at least `smallest_change` more than its control
      does, and flips significantly more decisions (McNemar's p < alpha): it changes decisions (any
      edit of many images is significant in the end, so the size has to count);
    - the same, without more flips: it hardly does;
    - dependent, and the whole interval of every edit's excess lies within +- `smallest_change`: it
      comes with another feature;
    - dependent, also given all other features: used beyond these (and so if only given these, and
      not shown to be less than `SMALLEST_PARTIAL`: another feature hides it);
    - dependent, but given the others it adds less than `SMALLEST_PARTIAL` (equivalence): it comes
      with another feature, the one that `explained_by` names;
    - dependent, and neither is shown: itself or a correlate;
    - not dependent, and shown to be less than what matters, either a partial correlation of
      `SMALLEST_PARTIAL` given the others or a rank effect of `smallest_effect` given the label
      (two one-sided tests at `alpha`): not used;
    - else not testable.

    Dependent is what the row of least p-value says, of presence, area, count or value; of whether
    the value is known at all only where the value could not be tested.

    Graded edits stand beside the rest and decide nothing: how often a verdict by them errs is not
    known. Where one moves the score and the verdict leaves something open, `would_settle` says so.

    Args:
        usage: feature_usage.csv.
        interventions: interventions.csv, may be empty.
        alignment: alignment.csv, may be empty; its lifts stand beside the rest.
        doses: doses.csv, if there is one; of each feature the edit of least p-value.
        alpha: level.
        smallest_change: below so many standard deviations of the score within labels (`score_sd`),
            a change does not matter.
        smallest_effect: rank effect that a feature must stay below to be called not used.
        decides: whether the model decides between classes; where it gives a value, an edit that
            changes the score changes the value.
        all_held: whether all other features were held fixed, and not some by name; only then is
            anything used beyond them all.
    """
    usage = _of_values(usage[usage["kind"] != "control"]) if len(usage) else usage
    names = dict.fromkeys([*usage.get("feature", []), *interventions.get("feature", [])])
    rows = []
    for name in names:
        tested = usage[usage["feature"] == name] if len(usage) else usage
        edits = interventions[interventions["feature"] == name] if len(interventions) else None
        if edits is not None and (edits["kind"] == "control").any():
            continue
        row = {"feature": name, "kind": _kind(tested, edits)}
        row |= _dependence(tested, alpha, int(usage["p_value"].notna().sum()) if len(usage) else 0)
        row |= _intervention(edits)
        row |= _attention(alignment, name)
        row |= _graded(doses, name)
        found = _verdict(row, edits, alpha, smallest_change, smallest_effect)
        if found == BEYOND and not all_held:
            found = UNCLEAR
        row["verdict"] = MOVES if found == HARDLY and not decides else found
        row["would_settle"] = _would_settle(row, edits, alpha)
        rows.append(row)
    return pd.DataFrame(rows).drop(columns="error", errors="ignore")


def _of_values(usage: pd.DataFrame) -> pd.DataFrame:
    """Leave out whether values are known, where the values themselves could be tested.

    Of several features that are missing together it is a finding of its own, and no verdict.
    """
    missing = usage["test"].str.endswith("(missing)")
    tested = set(usage.loc[~missing & usage["p_value"].notna(), "feature"])
    named = set(usage.loc[~missing, "feature"])
    return usage[~missing | (usage["feature"].isin(named) & ~usage["feature"].isin(tested))]


def _kind(tested: pd.DataFrame, edits: pd.DataFrame | None) -> str:
    source = tested if len(tested) else edits
    return str(source["kind"].iloc[0]) if source is not None else ""


def _dependence(tested: pd.DataFrame, alpha: float, tests: int) -> dict[str, Any]:
    """Return the row of the test with the least p-value, and what could have been found."""
    known = tested[tested["p_value"].notna()] if len(tested) else tested
    if not len(known):
        numbers = ("test", "n", "p_adjusted", "effect_bits", "rank_effect", "detectable_effect")
        return dict.fromkeys((*numbers, *_GIVEN), np.nan) | {"used": False, "error": np.nan}
    best = known.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
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
        **{name: best.get(name, np.nan) for name in _GIVEN},
    }


def _intervention(edits: pd.DataFrame | None) -> dict[str, Any]:
    """Return the edit with the least p-value."""
    columns = ("excess_logit", "excess_low", "excess_high", "flip_rate", "control_flip_rate")
    known = edits[edits["p_value"].notna()] if edits is not None else None
    if known is None or not len(known):
        return dict.fromkeys(("intervention", *columns, "intervention_p"), np.nan)
    best = known.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
    return {
        "intervention": best["intervention"],
        **{name: best[name] for name in columns},
        "intervention_p": best["p_adjusted"],
    }


def _attention(alignment: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return each method's lift over what the masks of other images get, and its p-value."""
    if not len(alignment):
        return {}
    rows = alignment[(alignment["feature"] == name) & (alignment["label"] == "all")]
    every = alignment["method"].drop_duplicates()
    found: dict[str, Any] = {}
    for method in every[every != "centre-prior"]:
        mine = rows[rows["method"] == method]
        found[f"lift_over_chance_{method}"] = (
            mine["lift_over_chance"].iloc[0] if len(mine) else None
        )
        found[f"lift_p_{method}"] = mine["p_adjusted"].iloc[0] if len(mine) else None
        if "too_coarse" in mine and len(mine):
            found[f"too_coarse_{method}"] = mine["too_coarse"].iloc[0]
    return found


def _graded(doses: pd.DataFrame | None, name: str) -> dict[str, Any]:
    """Return the slope of the graded edit of least p-value."""
    columns = ("slope", "slope_low", "slope_high")
    found = doses[doses["feature"] == name] if doses is not None and len(doses) else pd.DataFrame()
    known = found[found["p_adjusted"].notna()] if len(found) else found
    if not len(known):
        return dict.fromkeys(("graded_edit", *columns, "slope_p"), np.nan)
    best = known.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
    return {
        "graded_edit": best["intervention"],
        **{column: best[column] for column in columns},
        "slope_p": best["p_adjusted"],
    }


def _verdict(
    row: dict[str, Any],
    edits: pd.DataFrame | None,
    alpha: float,
    smallest_change: float,
    smallest_effect: float,
) -> str:
    tested = edits[edits["p_value"].notna()] if edits is not None else pd.DataFrame()
    if len(tested):
        large = (tested["excess_logit"].abs() / tested["score_sd"]) >= smallest_change
        shown = tested[large & (tested["p_adjusted"] < alpha)]
        more = shown["flip_rate"] > shown["control_flip_rate"]
        if (more & (shown["p_mcnemar"] < alpha)).any():
            return CHANGES
        if len(shown):
            return HARDLY
    if row["used"]:
        if len(tested):
            bounds = tested[["excess_low", "excess_high"]].abs().div(tested["score_sd"], axis=0)
            if (bounds < smallest_change).all(axis=None):
                return COMES_WITH
        if row["p_given_adjusted"] < alpha:
            return BEYOND
        return COMES_WITH if row["p_equivalent"] < alpha else UNCLEAR
    # Hidden by another feature that pushes the other way, and not shown to be small.
    if row["p_given_adjusted"] < alpha and not row["p_equivalent"] < alpha:
        return BEYOND
    below = abs(row["rank_effect"]) + _ONE_SIDED * row["error"] < smallest_effect
    return NOT_USED if below or row["p_equivalent"] < alpha else NOT_TESTABLE


def _would_settle(row: dict[str, Any], edits: pd.DataFrame | None, alpha: float) -> str | None:
    """Say what would tell more of a feature than there was to tell."""
    if row["verdict"] not in (BEYOND, UNCLEAR, NOT_TESTABLE):
        return None
    tested = edits is not None and edits["p_value"].notna().any()
    shown = row["kind"] in ("structure", "artifact")
    if row["slope_p"] < alpha:
        return "what else its graded edit changes, in doses.csv: the score follows the dose"
    if row["verdict"] == NOT_TESTABLE:
        return "more images, of which some have it and some do not"
    if shown:
        return "more images to edit" if tested else "masks of it, so that it can be edited"
    if row["verdict"] == BEYOND:
        return "a column of what goes with it and the model may see"
    given = pd.notna(row["p_given_adjusted"])
    return "more images" if given else "other features to hold fixed: --given others"
