"""performance.csv in words."""

from __future__ import annotations

import math
from collections.abc import Hashable

import pandas as pd

from xattn.analysis.evaluation.metrics import ALL
from xattn.analysis.evaluation.table import GAP

_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "quadratic_kappa": "quadratic weighted kappa",
    "grade_mae": "mean absolute error in grades",
    "ece": "calibration error",
}


def performance_sentences(table: pd.DataFrame) -> tuple[str, ...]:
    """Return one sentence per split, one per domain, and one on the gap.

    Args:
        table: as `performance_table` returns it.
    """
    said: list[str] = []
    whole: dict[Hashable, int] = {}
    for (split, domain), part in table.groupby(["split", "domain"], sort=False):
        whole_rows = part[part["class"] == ALL]
        told = [m for m in _NAMES if (whole_rows["metric"] == m).any()]
        row = {m: whole_rows[whole_rows["metric"] == m].iloc[0] for m in told}
        if split == GAP:
            said += [_gap(row["balanced_accuracy"])] if domain == ALL else []
            continue
        where = str(split) if domain == ALL else f"{split}, {domain}"
        n, groups = int(row["auc"]["n"]), int(row["auc"]["groups"])
        whole[split] = whole.get(split, n)
        if domain != ALL and n == whole[split]:
            continue  # the one domain of its split
        size = f"{n} images" if n == groups else f"{n} images of {groups} groups"
        parts = [_number(_NAMES[metric], own) for metric, own in row.items()]
        said.append(f"{where} ({size}): {'; '.join(parts)}.")
    return tuple(said)


def _number(name: str, row: pd.Series) -> str:
    chance = "calibrated" if row["metric"] == "ece" else "chance"
    if math.isnan(row["value"]):
        return f"{name} cannot be computed, a class is missing"
    interval = _interval(row)
    return f"{name} {row['value']:.3f} ({interval}{chance} {row['chance']:.2f})"


def _interval(row: pd.Series) -> str:
    return "" if math.isnan(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}, "


def _gap(row: pd.Series) -> str:
    if math.isnan(row["value"]):
        return "The gap between test and ood cannot be computed, a class is missing."
    if abs(row["value"]) < 0.0005:
        alike = "balanced accuracy on ood differs from that on test by less than 0.001"
        if math.isnan(row["low"]):
            return f"{alike}; there are too few groups to say how certain that is."
        return f"{alike} (difference {row['low']:.3f} to {row['high']:.3f})."
    size = f"balanced accuracy on ood is {abs(row['value']):.3f} "
    size += "lower" if row["value"] < 0 else "higher"
    if math.isnan(row["low"]):
        return f"{size} than on test; there are too few groups to say how certain that is."
    interval = f"(difference {row['low']:.3f} to {row['high']:.3f})"
    if row["low"] <= 0 <= row["high"]:
        return f"{size} than on test {interval}: these images show no difference for certain."
    return f"{size} than on test {interval}."
