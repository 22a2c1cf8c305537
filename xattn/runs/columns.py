"""Columns of the tables in a run folder: the interface between the stages.

A table may hold more columns, after these; it may not lack one.
"""

from __future__ import annotations

COLUMNS: dict[str, tuple[str, ...]] = {
    "errors": ("file", "stage", "error"),
    "alignment": (
        "method", "feature", "kind", "label", "n", "mass", "area", "lift", "lift_low", "lift_high",
        "pointing", "auc", "rank_accuracy", "topk", "p_value", "p_adjusted",
    ),
    "feature_usage": (
        "feature", "kind", "test", "n", "groups", "strata_dropped", "statistic", "p_value",
        "p_adjusted", "used", "effect_bits", "effect_low", "effect_high", "rank_effect",
    ),
    "interventions": (
        "feature", "intervention", "n", "delta_logit", "delta_low", "delta_high", "flip_rate",
        "control_delta_logit", "control_flip_rate", "p_value", "p_adjusted",
    ),
    "bias": (
        "feature", "metric", "n_present", "n_absent", "present", "absent", "gap", "gap_low",
        "gap_high", "p_value", "p_adjusted",
    ),
}  # fmt: skip
