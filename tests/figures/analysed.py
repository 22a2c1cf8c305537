"""A run folder with everything that `xattn feature-usage` leaves, small and made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.figures.populated import FEATURES, populated_run
from xattn.analysis.verdicts import verdict_table
from xattn.runs import RunFolder


def analysed_run(root: Path, seed: int = 0, **options: object) -> RunFolder:
    """Write a populated run with edits, verdicts, agreement, fairness and scores of every image."""
    run = populated_run(root, seed=seed, **options)
    features = options.get("features", FEATURES)
    rng = np.random.default_rng(seed + 1)
    usage = run.table("feature_usage").assign(rank_effect_error=0.02)
    run.write_table("interventions", interventions_table(features, rng))
    edits, alignment = run.table("interventions"), run.table("alignment")
    over = alignment["lift"] / alignment["chance_lift"]
    alignment = alignment.assign(lift_over_chance=over)
    run.write_table("verdicts", verdict_table(usage, edits, alignment))
    run.write_table("agreement", agreement_table(run.methods))
    run.write_table("fairness", fairness_table(features))
    scores(run).to_parquet(run.path / "mask_scores.parquet", index=False)
    return run


def interventions_table(features: dict[str, str], rng: np.random.Generator) -> pd.DataFrame:
    """Return edits of which those of artifacts change decisions, and a control that held."""
    rows = []
    for name, kind in {**features, "control-patch": "control"}.items():
        moved = 0.6 if kind == "artifact" else 0.02
        rows.append({
            "feature": name, "intervention": "inpaint", "n": 80, "delta_logit": moved + 0.05,
            "delta_low": moved - 0.1, "delta_high": moved + 0.2, "flip_rate": moved / 3,
            "control_delta_logit": 0.05, "control_flip_rate": 0.01,
            "p_value": 0.001 if kind == "artifact" else 0.4,
            "p_adjusted": 0.004 if kind == "artifact" else np.nan if kind == "control" else 1.0,
            "kind": kind, "available": 90, "n_control": 80, "groups": 70,
            "abs_delta_logit": moved + 0.1, "control_abs_delta_logit": 0.1,
            "excess_logit": moved, "excess_low": moved - 0.01 - rng.random() / 99,
            "excess_high": moved + 0.02, "score_sd": 1.0, "note": None,
            "p_mcnemar": 0.001 if kind == "artifact" else 1.0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def agreement_table(methods: list[str]) -> pd.DataFrame:
    """Return one pair of methods that agree more than by chance."""
    row = {
        "method_a": methods[0], "method_b": methods[-1], "n": 24, "rank_correlation": 0.412,
        "rank_correlation_low": 0.301, "rank_correlation_high": 0.523,
        "chance_rank_correlation": 0.22, "overlap": 0.3, "overlap_low": 0.2, "overlap_high": 0.4,
        "chance_overlap": 0.15, "p_value": 0.001, "p_adjusted": 0.001,
    }  # fmt: skip
    return pd.DataFrame([row])


def fairness_table(features: dict[str, str]) -> pd.DataFrame:
    """Return a gap of the first artifact that is more than chance gives."""
    rows = [
        {
            "feature": name, "kind": kind, "metric": "equalized_odds_difference", "n": 24,
            "categories": "absent; present", "value": 0.31, "low": 0.22, "high": 0.4,
            "chance": 0.08, "p_value": 0.01, "p_adjusted": 0.02,
        }
        for name, kind in features.items() if kind == "artifact"
    ]  # fmt: skip
    return pd.DataFrame(rows)


def scores(run: RunFolder) -> pd.DataFrame:
    """Return mask_scores.parquet: the lift of every map on every mask that is not empty."""
    table = pd.read_parquet(run.path / "features.parquet")
    areas = [c for c in table if c.endswith(".area")]
    parts = []
    for number, method in enumerate(run.methods):
        for column in areas:
            shown = table[table[column] > 0][["image_id", "label"]]
            lift = 0.5 + number + np.arange(len(shown)) / 4
            name = column.removesuffix(".area")
            parts.append(shown.assign(method=method, feature=name, lift=lift))
    return pd.concat(parts, ignore_index=True)
