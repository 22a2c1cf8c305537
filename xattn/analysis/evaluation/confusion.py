"""confusion.csv: which class is taken for which, and how often by chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.evaluation.metrics import ALL, PER_CLASS, Predictions
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

Counts = NDArray[np.float64]


def confusion_rows(
    said: Predictions, groups: pd.Series[Any], split: str, bootstrap: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Give a row for each label and predicted class: how many images of the label went there.

    `value` is their fraction of the label's images with its 95 % interval (bootstrap over groups),
    `chance` that of all images: what the same predictions, assigned to images at random, come to.

    Args:
        said: predictions of n images.
        groups: (n,), missing ones stand alone.
        split: its name.
        bootstrap: replicates.
        seed: same seed, same rows.
    """
    k, n = len(said.classes), len(said.truth)
    group = group_codes(groups, n)
    cell = said.truth * k + said.predicted
    counts = np.bincount(cell, minlength=k * k).reshape(k, k)
    of_label = counts.sum(axis=1)
    low, high = (np.full((k, k), np.nan),) * 2
    if len(np.unique(group)) >= FEWEST_GROUPS:
        low, high = percentile_interval(_drawn(cell, group, k, bootstrap, seed))
    chance = counts.sum(axis=0) / max(1, n)
    for i, label in enumerate(said.classes):
        for j, predicted in enumerate(said.classes):
            yield {
                "split": split,
                "label": label,
                "predicted": predicted,
                "n": int(counts[i, j]),
                "images": int(of_label[i]),
                "value": counts[i, j] / of_label[i] if of_label[i] else np.nan,
                "low": low[i, j],
                "high": high[i, j],
                "chance": chance[j],
            }


def _drawn(
    cell: NDArray[np.intp], group: NDArray[np.intp], k: int, bootstrap: int, seed: int
) -> Counts:
    """Return the fractions of each label's images under bootstrap weights, (K, k, k)."""
    weights = group_weights(group, len(cell), bootstrap, seed)
    sums = np.zeros((bootstrap, k * k))
    for i in np.unique(cell):
        sums[:, i] = weights[:, cell == i].sum(axis=1)
    cells = sums.reshape(bootstrap, k, k)
    with np.errstate(invalid="ignore"):
        fractions: Counts = cells / cells.sum(axis=2, keepdims=True)
    return fractions


def matrix(confusion: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the counts of a split: a row a label, a column a predicted class.

    Args:
        confusion: the table.
        split: which one.
    """
    own = confusion[confusion["split"] == split]
    names = list(dict.fromkeys(own["label"]))
    table = own.set_index(["label", "predicted"])["n"].unstack()  # noqa: PD010  # nothing to sum
    return table.reindex(index=names, columns=names)


def per_class(performance: pd.DataFrame, confusion: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return a row a class of a split: its images, and each metric with interval and chance.

    Args:
        performance, confusion: the tables.
        split: which one, over all domains.

    Returns:
        Columns class, images, and metric, metric_low, metric_high and metric_chance of each of
        `PER_CLASS`.
    """
    own = confusion[confusion["split"] == split].drop_duplicates("label").set_index("label")
    table = performance[(performance["split"] == split) & (performance["domain"] == ALL)]
    rows = []
    for name, images in own["images"].items():
        row: dict[str, Any] = {"class": name, "images": int(images)}
        for metric in PER_CLASS:
            found = table[(table["metric"] == metric) & (table["class"] == name)]
            if len(found):
                one = found.iloc[0]
                row |= {metric: one["value"], f"{metric}_low": one["low"]}
                row |= {f"{metric}_high": one["high"], f"{metric}_chance": one["chance"]}
        rows.append(row)
    return pd.DataFrame(rows)
