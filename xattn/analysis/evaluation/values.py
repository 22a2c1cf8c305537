"""How near a model's values are to the reference: R², mean absolute error, rank correlation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.metrics import ALL
from xattn.analysis.evaluation.parts import domains_and_splits
from xattn.analysis.evaluation.table import GAP, Measured
from xattn.stats.arrays import Floats
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS, group_weights

METRICS = ("r2", "mae", "mean_error", "spearman")
_BLOCK = 2**20


def value_table(
    predictions: pd.DataFrame, output: str, *, bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return performance.csv of values: one row per split, domain and metric.

    Intervals, groups and the rows of `ood-test` are those of `performance_table`.

    Args:
        predictions: columns split, domain, group, value_<output>, and truth, which is known.
        output: the value's name.
        bootstrap: replicates.
        seed: same seed, same table.
    """
    sets = [
        _measure(part, output, split, domain, bootstrap, number)
        for split, domain, part, number in domains_and_splits(predictions, seed)
    ]
    test = next((m for m in sets if (m.split, m.domain) == ("test", ALL)), None)
    if test is not None:
        sets += [m.minus(test) for m in sets if m.split == "ood"]
    return pd.DataFrame([row for measured in sets for row in measured.rows()])


def value_metrics(value: Floats, truth: Floats, weights: Floats) -> Floats:
    """Return all metrics under each weighting, in the order of `METRICS`: (K, metrics).

    Args:
        value: (n,) of the model.
        truth: (n,) the reference.
        weights: (K, n), not negative.

    Returns:
        R² of the values as they are, 1 less the squared errors over those of the mean reference
        (below 0 for values worse than that mean); the mean absolute error and the mean error, in
        units of the value; Spearman's correlation of ranks, of which ties share one.
    """
    total = weights.sum(axis=1)
    error = value - truth
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = weights @ truth / total
        spread = weights @ truth**2 / total - mean**2
        r2 = 1 - (weights @ error**2 / total) / np.where(spread > 1e-12, spread, np.nan)
        mae, mean_error = weights @ np.abs(error) / total, weights @ error / total
    ranks = _weighted_ranks(value, weights), _weighted_ranks(truth, weights)
    return np.stack([r2, mae, mean_error, _correlation(*ranks, weights)], axis=1)


def _weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Return the middle rank of each value under each weighting, (K, n)."""
    order = np.argsort(values, kind="stable")
    _, starts = np.unique(values[order], return_index=True)
    _, code = np.unique(values, return_inverse=True)
    of_value = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(of_value, axis=1) - of_value / 2
    result: Floats = middle[:, code]
    return result


def _correlation(a: Floats, b: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    a, b = (v - (weights * v).sum(axis=1, keepdims=True) / total for v in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        both = (weights * a * b).sum(axis=1)
        result: Floats = both / np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    return result


def _measure(
    part: pd.DataFrame, output: str, split: str, domain: str, bootstrap: int, seed: int
) -> Measured:
    value, truth = (part[c].to_numpy(np.float64) for c in (f"value_{output}", "truth"))
    n, group = len(part), group_codes(part["group"], len(part))
    groups = int(group.max()) + 1
    replicates = np.empty((0, len(METRICS)))
    if groups >= FEWEST_GROUPS:
        weights = group_weights(group, n, bootstrap, seed).astype(np.float64)
        step = max(1, _BLOCK // n)
        blocks = [
            value_metrics(value, truth, weights[k : k + step]) for k in range(0, bootstrap, step)
        ]
        replicates = np.concatenate(blocks)
    values = value_metrics(value, truth, np.ones((1, n)))[0]
    chance = np.array([0.0, np.abs(truth - np.median(truth)).mean(), 0.0, 0.0])
    names = tuple((metric, ALL) for metric in METRICS)
    return Measured(
        split, domain, n, groups, names, values, replicates, chance, np.zeros(len(METRICS), bool)
    )


def value_sentences(table: pd.DataFrame, output: str) -> Iterator[str]:
    """Say the main results, one sentence per split and domain.

    Args:
        table: as of `value_table`.
        output: the value's name.
    """
    for (split, domain), part in table.groupby(["split", "domain"], sort=False):
        if split == GAP:
            continue
        row = {str(m): own for m, own in zip(part["metric"], part.to_dict("records"), strict=True)}
        where = str(split) if domain == ALL else f"{split}, {domain}"
        n, groups = int(row["mae"]["n"]), int(row["mae"]["groups"])
        size = f"{n} images" if n == groups else f"{n} images of {groups} groups"
        yield (
            f"{where} ({size}): mean absolute error of {output} {_number(row['mae'])}; R² "
            f"{_number(row['r2'])}; Spearman's correlation {_number(row['spearman'])}."
        )


def _number(row: dict[Any, Any]) -> str:
    interval = "" if np.isnan(row["low"]) else f"{row['low']:.3g} to {row['high']:.3g}, "
    return f"{row['value']:.3g} ({interval}chance {row['chance']:.3g})"
