"""Rows of feature_usage.csv, interventions.csv and doses.csv, made by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd

NONE = pd.DataFrame()
GIVEN = {
    "effect_given": 0.2, "effect_given_low": 0.1, "effect_given_high": 0.3,
    "p_given_adjusted": 0.01, "p_equivalent": 0.9,
}  # fmt: skip
"""What is left given the other features."""
ADDS_NOTHING = {**GIVEN, "effect_given": 0.01, "p_given_adjusted": 0.8, "p_equivalent": 0.01}
OPEN = {**ADDS_NOTHING, "p_equivalent": 0.4}
SMALL = {**GIVEN, "effect_given": 0.05, "p_equivalent": 0.01}
UNUSED = {"p_value": 0.5, "p_adjusted": 1.0, "used": False, "rank_effect": 0.0}
NULL = {"excess_logit": 0.0, "p_value": 0.6, "p_adjusted": 1.0}
STILL = {**NULL, "excess_low": -0.05, "excess_high": 0.05}
WIDE = {**NULL, "excess_low": -0.5, "excess_high": 0.5}


def usage(**changes: Any) -> pd.DataFrame:
    """A feature that depends given the label."""
    row = {
        "feature": "ruler", "kind": "artifact", "test": "min-p(presence)", "n": 1000,
        "p_value": 0.001, "p_adjusted": 0.004, "used": True, "effect_bits": 0.1,
        "rank_effect": 0.3, "rank_effect_error": 0.03,
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


def edits(**changes: Any) -> pd.DataFrame:
    """An edit that moves the score and flips decisions."""
    row = {
        "feature": "ruler", "kind": "artifact", "intervention": "inpaint", "n": 100,
        "excess_logit": -0.5, "excess_low": -0.7, "excess_high": -0.3, "flip_rate": 0.2,
        "control_flip_rate": 0.0, "score_sd": 1.0, "p_mcnemar": 0.01, "p_value": 0.001,
        "p_adjusted": 0.01,
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


def opacity(slope: float = 0.5, half: float = 0.1, p: float = 0.01, **changes: Any) -> pd.DataFrame:
    """Rows of a graded edit of an artifact with masks.

    Args:
        slope, half: of the score on the dose, and half of its interval.
        p: adjusted p-value.
        changes: of all rows.
    """
    row = {
        "feature": "ruler", "kind": "artifact", "intervention": "opacity", "slope": slope,
        "slope_low": slope - half, "slope_high": slope + half, "p_value": p / 2, "p_adjusted": p,
        "score_sd": 1.0, "flip_rate": 0.2, "control_flip_rate": 0.0, "p_mcnemar": 0.01,
        "masks": "annotated",
    }  # fmt: skip
    return pd.DataFrame([{**row, "dose": dose, **changes} for dose in (-1.0, -0.5)])


def number(
    slope: float = 0.5,
    half: float = 0.1,
    p: float = 0.01,
    gain: float = 10.0,
    leak: float = 0.0,
    beside: str = "",
    **changes: Any,
) -> pd.DataFrame:
    """Rows of a graded edit of a computed feature, whose standard deviation in the run is 10.

    Args:
        slope, half, p: as for `opacity`; doses go from -1 to 1.
        gain, leak: change of the value per unit of dose, by the edit and by its control.
        beside: name of another feature that changes as much as this one.
        changes: of all rows.
    """
    rows = []
    for dose in (-1.0, -0.5, 0.5, 1.0):
        other = f"{beside} {dose * gain / 10:+.1f} SD" if beside and abs(dose) == 1 else "none"
        rows.append({
            "feature": "size", "kind": "computed", "intervention": "diameter", "dose": dose,
            "slope": slope, "slope_low": slope - half, "slope_high": slope + half,
            "p_value": p / 2, "p_adjusted": p, "score_sd": 1.0, "value_sd": 10.0,
            "value_before": 50.0, "value_after": 50 + gain * dose,
            "control_value_change": leak * dose, "others": other, "masks": "annotated",
            "flip_rate": 0.1, "control_flip_rate": 0.1, "p_mcnemar": 1.0, **changes,
        })  # fmt: skip
    return pd.DataFrame(rows)
