"""The CSV tables of a run, made by hand: plausible numbers that fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from tests.analysis import simulate_groups
from xattn.analysis.evaluation.trap import trap_table
from xattn.analysis.groups.fairness import METRICS
from xattn.runs import TABLES
from xattn.runs.tables.concepts import ENCODED_ONLY, NEITHER, USED


def alignment_table(
    features: dict[str, str], methods: tuple[str, ...], labels: list[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return alignment.csv: a row per method, feature and label, beside chance."""
    rows = []
    for method in methods:
        for feature, kind in features.items():
            for label in labels:
                lift, area, p = 2 ** rng.normal(0.3, 0.8), rng.uniform(0.02, 0.2), rng.random() ** 3
                rows.append({
                    "method": method, "feature": feature, "kind": kind, "label": label,
                    "n": int(rng.integers(10, 900)), "mass": min(1, lift * area), "area": area,
                    "lift": lift, "lift_low": lift * 0.9, "lift_high": lift * 1.12,
                    "pointing": rng.random(), "auc": rng.random(), "rank_accuracy": rng.random(),
                    "topk": rng.random(), "p_value": p, "p_adjusted": min(1, p * 8),
                    "chance_lift": 2 ** rng.normal(0.2, 0.2), "mask_cells": 16 * area,
                    "too_coarse": 16 * area < 1,
                })  # fmt: skip
    return pd.DataFrame(rows)


def usage_table(features: dict[str, str], rng: np.random.Generator) -> pd.DataFrame:
    """Return feature_usage.csv: one test a feature, in which controls find nothing."""
    rows = []
    for feature, kind in features.items():
        p = 0.6 if kind == "control" else float(rng.random() ** 4)
        effect = 0.002 if kind == "control" else float(rng.random() * 0.1)
        rows.append({
            "feature": feature, "kind": kind, "test": "within-label permutation", "n": 500,
            "groups": 400, "strata_dropped": 0, "statistic": rng.random(), "p_value": p,
            "p_adjusted": min(1, p * len(features)), "used": p * len(features) < 0.05,
            "effect_bits": effect, "effect_low": effect * 0.6, "effect_high": effect * 1.5 + 0.002,
            "rank_effect": rng.uniform(-0.3, 0.3),
        })  # fmt: skip
    return pd.DataFrame(rows)


def bias_table(artifacts: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Return bias.csv: four metrics an artifact."""
    rows = []
    for feature in artifacts:
        present, absent = (int(v) for v in rng.integers(20, 2000, 2))
        for metric in ("balanced_accuracy", "tpr", "fpr", "auc"):
            gap, p = rng.normal(0, 0.1), rng.random()
            rows.append({
                "feature": feature, "metric": metric, "n_present": present, "n_absent": absent,
                "present": 0.7 + gap, "absent": 0.7, "gap": gap, "gap_low": gap - 0.05,
                "gap_high": gap + 0.06, "p_value": p, "p_adjusted": min(1, p * 2),
            })  # fmt: skip
    return pd.DataFrame(rows)


def interventions_table(features: dict[str, str]) -> pd.DataFrame:
    """Return interventions.csv: edits of artifacts change decisions, and the control holds.

    Artifacts are removed and, with less effect, inserted; structures are removed.
    """
    rows = []
    for name, kind in {**features, "control-patch": "control"}.items():
        for edit in ("inpaint", "insert") if kind == "artifact" else ("inpaint",):
            moved = {"inpaint": 0.6, "insert": 0.3}[edit] if kind == "artifact" else 0.02
            rows.append({
                "feature": name, "intervention": edit, "n": 80, "delta_logit": moved + 0.05,
                "delta_low": moved - 0.1, "delta_high": moved + 0.2, "flip_rate": moved / 3,
                "control_delta_logit": 0.05, "control_flip_rate": 0.01,
                "p_value": 0.001 if kind == "artifact" else 0.4,
                "p_adjusted": 0.004 if kind == "artifact" else np.nan if kind == "control" else 1.0,
                "kind": kind, "available": 90, "n_control": 80, "groups": 70,
                "abs_delta_logit": moved + 0.1, "control_abs_delta_logit": 0.1,
                "excess_logit": moved, "excess_low": moved - 0.015,
                "excess_high": moved + 0.02, "score_sd": 1.0, "note": None,
                "p_mcnemar": 0.001 if kind == "artifact" else 1.0,
            })  # fmt: skip
    return pd.DataFrame(rows)


def doses_table(features: dict[str, str]) -> pd.DataFrame:
    """Return doses.csv: the score follows the opacity of artifacts, and nothing else."""
    rows = []
    for name, kind in {**features, "light": "image"}.items():
        slope = 0.6 if kind == "artifact" else 0.01
        for dose in (-1.0, -0.5):
            rows.append({
                "feature": name, "intervention": "light" if kind == "image" else "opacity",
                "dose": dose, "n": 50, "delta_logit": dose * slope - 0.02,
                "delta_low": dose * slope - 0.1, "delta_high": dose * slope + 0.06,
                "control_delta_logit": -0.02, "control_delta_low": -0.05,
                "control_delta_high": 0.01, "excess_logit": dose * slope,
                "excess_low": dose * slope - 0.05, "excess_high": dose * slope + 0.05,
                "slope": slope, "slope_low": slope - 0.05, "slope_high": slope + 0.05,
                "p_value": 0.001 if slope > 0.1 else 0.4,
                "p_adjusted": 0.004 if slope > 0.1 else 1.0, "p_trend": 0.001, "kind": kind,
                "unit": "opacity", "masks": "annotated", "available": 90, "n_control": 50,
                "groups": 50, "score_sd": 1.0, "value_before": 0.9, "value_after": 0.9 + dose / 2,
                "control_value_change": 0.0, "others": "none", "note": None,
            })  # fmt: skip
    return pd.DataFrame(rows)


def agreement_table(methods: Sequence[str]) -> pd.DataFrame:
    """Return agreement.csv: the first pair agrees beyond chance, each after it less."""
    rows = []
    for i, (a, b) in enumerate(combinations(methods, 2)):
        ranks, overlap, p = 0.412 / (1 + i), 0.3 / (1 + i), min(1, 0.001 + 0.3 * i)
        rows.append({
            "method_a": a, "method_b": b, "n": 24 + 1000 * i, "rank_correlation": ranks,
            "rank_correlation_low": ranks - 0.111, "rank_correlation_high": ranks + 0.111,
            "chance_rank_correlation": 0.22, "overlap": overlap, "overlap_low": overlap - 0.1,
            "overlap_high": overlap + 0.1, "chance_overlap": 0.15, "p_value": p, "p_adjusted": p,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(TABLES["agreement"].promised))


def fairness_table(features: dict[str, str]) -> pd.DataFrame:
    """Return fairness.csv: artifacts matter, the first most; groups of patients do not."""
    compared = {name: kind for name, kind in features.items() if kind == "artifact"}
    rows = []
    for i, (name, kind) in enumerate({**compared, "age_band": "metadata"}.items()):
        artifact = kind == "artifact"
        gap = 0.31 / (1 + i / 10) if artifact else 0.11
        for metric in METRICS:
            ratio = metric.endswith("ratio")
            value, low, high = (gap, gap - 0.09, gap + 0.09)
            rows.append({
                "feature": name, "kind": kind, "metric": metric, "n": 24 + 1000 * i,
                "categories": "absent; present" if artifact else "0-29; 30-49; 50-69",
                "value": 1 - value if ratio else value, "low": 1 - high if ratio else low,
                "high": 1 - low if ratio else high, "chance": 0.92 if ratio else 0.08,
                "p_value": 0.01 if artifact else 0.3, "p_adjusted": 0.02 if artifact else 0.3,
            })  # fmt: skip
    return pd.DataFrame(rows)


@cache
def trap_of_rulers() -> pd.DataFrame:
    """Return trap.csv of simulated images: rulers explain most of the drop, ink explains none."""
    sides = simulate_groups.trap_sides(np.random.default_rng(0), 300, lean=1.0, harder=0.3)
    return trap_table(*sides, bootstrap=99)


def concepts_table(features: dict[str, str]) -> pd.DataFrame:
    """Return concepts.csv: artifacts are encoded and used, structures encoded, the rest neither."""
    rows = []
    for name, kind in [*features.items(), ("control-noise", "control")]:
        held, moved = kind in ("artifact", "structure"), kind == "artifact"
        rows.append(
            {
                "feature": name,
                "kind": kind,
                "class": "malignant",
                "finding": USED if moved else ENCODED_ONLY if held else NEITHER,
                "n": 24,
                "n_with": 12,
                "auc": 0.8 if held else 0.5,
                "auc_low": 0.7 if held else 0.4,
                "auc_high": 0.9 if held else 0.6,
                "auc_random": 0.5,
                "p_encoded": 0.001 if held else 0.6,
                "p_encoded_adjusted": 0.004 if held else 1.0,
                "encoded": held,
                "derivative": -0.4 if moved else 0.01,
                "derivative_low": -0.6 if moved else -0.1,
                "derivative_high": -0.2 if moved else 0.12,
                "p_used": 0.001 if moved else 0.7,
                "p_used_adjusted": 0.004 if moved else 1.0,
                "used": moved,
                "score_sd": 1.0,
                "tcav": 0.0 if moved else 0.5,
                "tcav_random_low": 0.1,
                "tcav_random_high": 0.9,
                "groups": 24,
                "layer": "layer4",
                "note": None,
            }
        )
    return pd.DataFrame(rows)
