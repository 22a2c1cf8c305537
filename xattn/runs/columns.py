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
    "interventions_by_class": (
        "feature", "intervention", "class", "n", "delta_logit", "delta_low", "delta_high",
        "control_delta_logit", "excess_logit", "excess_low", "excess_high", "p_value",
        "p_adjusted", "gained", "lost", "control_gained", "control_lost",
    ),
    "verdicts": (
        "feature", "kind", "verdict", "test", "p_adjusted", "used", "rank_effect",
        "detectable_effect", "intervention", "excess_logit", "excess_low", "excess_high",
        "flip_rate", "control_flip_rate", "intervention_p",
    ),
    "agreement": (
        "method_a", "method_b", "n", "rank_correlation", "rank_correlation_low",
        "rank_correlation_high", "chance_rank_correlation", "overlap", "overlap_low",
        "overlap_high", "chance_overlap", "p_value", "p_adjusted",
    ),
    "bias": (
        "feature", "metric", "n_present", "n_absent", "present", "absent", "gap", "gap_low",
        "gap_high", "p_value", "p_adjusted",
    ),
    "fairness": (
        "feature", "kind", "metric", "n", "categories", "value", "low", "high", "chance",
        "p_value", "p_adjusted",
    ),
    "trap": (
        "alike_in", "metric", "n_amplified", "n_reversed", "correlation_amplified",
        "correlation_reversed", "amplified", "amplified_low", "amplified_high", "reversed",
        "reversed_low", "reversed_high", "drop", "drop_low", "drop_high", "explained",
        "explained_low", "explained_high",
    ),
    "usage_over_training": (
        "step", "checkpoint", "feature", "kind", "test", "p_value", "p_adjusted", "used",
        "effect_bits", "effect_low", "effect_high", "rank_effect",
    ),
    "faithfulness": (
        "method", "target", "grid", "score", "better", "n", "value", "low", "high", "random",
        "p_random", "edges", "p_edges", "p_value", "p_adjusted", "beats_controls", "cells",
    ),
    "performance": (
        "split", "domain", "metric", "class", "n", "groups", "value", "low", "high", "chance",
    ),
    "confusion": (
        "split", "label", "predicted", "n", "images", "value", "low", "high", "chance",
    ),
    "reliability": (
        "split", "domain", "bins", "bin", "n", "confidence", "accuracy", "low", "high",
        "expected_low", "expected_high",
    ),
    "comparison_runs": ("model", "seed", "split", "metric", "value"),
    "comparison": (
        "a", "b", "test", "split", "metric", "difference", "low", "high", "statistic", "p_value",
        "p_adjusted", "n", "effect", "effect_low", "effect_high", "verdict", "conclusion",
    ),
    "ranks": (
        "split", "metric", "model", "rank", "blocks", "statistic", "p_value",
        "critical_difference",
    ),
}  # fmt: skip

MORE_COLUMNS: dict[str, tuple[str, ...]] = {
    "alignment": (
        "groups", "degenerate", "lift_in_lesion", "n_tested", "chance_lift", "lift_over_chance",
    ),
    "feature_usage": (
        "rank_effect_error", "variance_share", "variance_low", "variance_high", "smallest_p",
        "note", "p_holm", "p_bh", "stands_for",
    ),
    "interventions": (
        "kind", "available", "n_control", "n_borrowed", "groups", "abs_delta_logit",
        "control_abs_delta_logit", "excess_logit", "excess_low", "excess_high", "p_mcnemar",
        "score_sd", "note", "changes", "control_changes",
    ),
    "interventions_by_class": ("kind", "available", "n_control"),
    "bias": ("cases_present", "cases_absent", "p_delong", "kind", "category", "classes"),
    "fairness": ("left_out", "classes"),
    "verdicts": ("n", "effect_bits"),
}  # fmt: skip
"""What the tables of an analysis hold beyond those, whatever was measured: a table without rows
has these columns too, so that a reader need not ask."""

_USAGE = "xattn feature-usage --annotations isic_attributes.json"
_OVER_TRAINING = "xattn feature-usage --ckpt a.pt --ckpt b.pt --annotations isic_attributes.json"
_EVALUATE = "xattn evaluate --ckpt model.pt --annotations isic_attributes.json"
_COMPARE = "xattn compare RUN..."

WRITTEN_BY: dict[str, str] = {
    **dict.fromkeys(
        (
            "alignment",
            "feature_usage",
            "interventions",
            "interventions_by_class",
            "bias",
            "fairness",
            "verdicts",
            "agreement",
        ),
        _USAGE,
    ),
    "usage_over_training": _OVER_TRAINING,
    "faithfulness": "xattn explain --evaluate",
    **dict.fromkeys(("performance", "confusion", "reliability"), _EVALUATE),
    "trap": f"{_EVALUATE} --trap all",
    **dict.fromkeys(("comparison_runs", "comparison", "ranks"), _COMPARE),
}
"""The command that writes each table, for the messages about one that is not there."""

RECORDS: dict[str, str] = {
    "analysis.json": _USAGE,
    "usage_over_training.json": _OVER_TRAINING,
    "faithfulness.json": "xattn explain --evaluate",
    "evaluation.json": _EVALUATE,
    "comparison.json": _COMPARE,
}
"""The command that writes each record of what made some tables."""


def tables_of(command: str) -> set[str]:
    """Return the tables that a command writes beside one record: "xattn evaluate"."""
    return {
        name
        for name, line in WRITTEN_BY.items()
        if line.startswith(command) and line != _OVER_TRAINING
    }
