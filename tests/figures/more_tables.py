"""A run folder from which every figure of a run can be drawn: made-up but coherent numbers."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from tests.figures.populated import FEATURES, populated_run
from xattn.analysis.verdicts import VERDICTS
from xattn.runs import RunFolder


def complete_run(
    root: Path, n: int = 24, methods: tuple[str, ...] = ("gradcam", "attention"), seed: int = 0
) -> RunFolder:
    """Write a populated run with interventions, verdicts and agreement too."""
    run = populated_run(root, n=n, methods=methods, seed=seed)
    rng = np.random.default_rng(seed)
    run.write_table("interventions", interventions_table(FEATURES, rng))
    run.write_table("verdicts", verdicts_table(FEATURES))
    run.write_table("agreement", agreement_table(methods, rng))
    return run


def interventions_table(features: dict[str, str], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for feature, kind in {**features, "control-patch": "control"}.items():
        for edit in ("inpaint", "insert") if kind == "artifact" else ("inpaint",):
            change, control, p = rng.normal(0, 0.5), rng.normal(0, 0.02), rng.random() ** 2
            excess = change - control
            rows.append({
                "feature": feature, "intervention": edit, "n": int(rng.integers(20, 100)),
                "delta_logit": change, "delta_low": change - 0.1, "delta_high": change + 0.12,
                "flip_rate": rng.random() / 2, "control_delta_logit": control,
                "control_flip_rate": rng.random() / 9, "p_value": p, "p_adjusted": min(1, 5 * p),
                "kind": kind, "available": 300, "excess_logit": excess,
                "excess_low": excess - 0.15, "excess_high": excess + 0.15, "score_sd": 1.2,
                "note": None,
            })  # fmt: skip
    return pd.DataFrame(rows)


def verdicts_table(features: dict[str, str]) -> pd.DataFrame:
    numbers = dict.fromkeys((
        "test", "p_adjusted", "used", "rank_effect", "detectable_effect", "intervention",
        "excess_logit", "excess_low", "excess_high", "flip_rate", "control_flip_rate",
        "intervention_p",
    ), np.nan)  # fmt: skip
    return pd.DataFrame(
        {"feature": feature, "kind": kind, "verdict": VERDICTS[i % len(VERDICTS)], **numbers}
        for i, (feature, kind) in enumerate(features.items())
    )


def agreement_table(methods: tuple[str, ...], rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for a, b in combinations(methods, 2):
        ranks, overlap, p = rng.uniform(-0.2, 0.8), rng.uniform(0.05, 0.6), rng.random() ** 3
        rows.append({
            "method_a": a, "method_b": b, "n": int(rng.integers(50, 2000)),
            "rank_correlation": ranks, "rank_correlation_low": ranks - 0.03,
            "rank_correlation_high": ranks + 0.03, "chance_rank_correlation": 0.1,
            "overlap": overlap, "overlap_low": overlap - 0.02, "overlap_high": overlap + 0.02,
            "chance_overlap": 0.12, "p_value": p, "p_adjusted": min(1, 3 * p),
        })  # fmt: skip
    return pd.DataFrame(rows)


def write_search(out: Path, n: int = 12, complete: bool = True, importance: bool = True) -> Path:
    """Write what `xattn search` leaves of n trials, two thirds of them complete."""
    rng = np.random.default_rng(0)
    stages = ["[3]", "[4]", "[3, 4]"]
    trials = pd.DataFrame(
        {
            "trial": np.arange(n),
            "state": ["complete" if complete and i % 3 else "pruned" for i in range(n)],
            "value": rng.uniform(0.5, 0.9, n),
            "train.lr": 10 ** rng.uniform(-5, -2, n),
            "train.augment": rng.choice(["none", "light"], n),
            "model.options.stages": rng.choice(stages, n),
            "train.batch_size": rng.integers(4, 16, n),
        }
    )
    space = {
        "train.lr": {"low": 1e-5, "high": 1e-2, "log": True},
        "train.augment": ["none", "light"],
        "model.options.stages": [[3], [4], [3, 4]],
        "train.batch_size": {"low": 4, "high": 16},
    }
    shares = [{"key": key, "share": 0.5 - i / 9, "chance": 0.3} for i, key in enumerate(space)]
    record = {
        "classes": ["benign", "malignant"],
        "search": {"metric": "val_balanced_accuracy", "space": space},
        "importance": shares if importance else [],
    }
    out.mkdir()
    trials.to_csv(out / "trials.csv", index=False)
    (out / "search.json").write_text(json.dumps(record))
    return out
