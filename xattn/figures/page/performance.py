"""How often the model is right, with an interval and the level of chance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from xattn.splits.samples import HELD_OUT
from xattn.stats.intervals import Rate, mean_of_rates, wilson

COUNTED_SINGLY = "95 % (Wilson's, combined over classes; each image counted as independent)"
OVER_GROUPS = "95 % (bootstrap over groups, as in performance.csv)"
"""Where intervals come from."""


@dataclass(frozen=True)
class Performance:
    """Agreement of predictions with labels.

    Attributes:
        n: labelled images.
        recall: class -> fraction of its images that were recognised.
        balanced_accuracy: mean recall over the classes that have images.
        chance: balanced accuracy of a guess.
        confusion: counts, a row per label, a column per predicted class.
        held_out: whether these are only images that are known to have had no part in the training.
        intervals: where they come from, in words.
    """

    n: int
    recall: dict[str, Rate]
    balanced_accuracy: Rate
    chance: float
    confusion: pd.DataFrame
    held_out: bool = False
    intervals: str = COUNTED_SINGLY


def performance(predictions: pd.DataFrame, classes: list[str]) -> Performance | None:
    """Compare `predicted` with `label` over the images that have one.

    Intervals are closed forms (`wilson`, `mean_of_rates`) that count every image as independent.

    Args:
        predictions: columns label and predicted.
        classes: names of the classes; labels that are none of them are left out.

    Returns:
        None where fewer than two classes have labelled images.
    """
    known = predictions[predictions["label"].isin(classes) & predictions["predicted"].notna()]
    present = [c for c in classes if (known["label"] == c).any()]
    if len(present) < 2:
        return None
    confusion = pd.crosstab(known["label"], known["predicted"])
    confusion = confusion.reindex(index=present, columns=classes, fill_value=0)
    counts = confusion.to_numpy(np.int64)
    hits = {c: int(counts[i, classes.index(c)]) for i, c in enumerate(present)}
    recall = {c: wilson(hits[c], int(counts[i].sum())) for i, c in enumerate(present)}
    balanced = mean_of_rates(list(recall.values()))
    return Performance(len(known), recall, balanced, 1 / len(recall), confusion)


def as_evaluated(scores: Performance, table: pd.DataFrame | None) -> Performance:
    """Take the intervals of performance.csv where it has the same numbers, so that both agree.

    Its bootstrap over groups is the better founded: images of one lesion or patient are no
    independent evidence. Closed forms stand where nothing was evaluated, or other images were.

    Args:
        scores: of the run's predictions.
        table: performance.csv; None if it was not written.
    """
    if table is None:
        return scores
    table = table[(table["domain"] == "all") & (table["split"] != "ood-test")]
    for _, own in table.groupby("split", sort=False):
        rows = {(str(row["metric"]), str(row["class"])): row for row in own.to_dict("records")}
        balanced = rows.get(("balanced_accuracy", "all"))
        recalls = {name: rows.get(("sensitivity", name)) for name in scores.recall}
        if balanced is None or None in recalls.values() or balanced["n"] != scores.n:
            continue
        theirs = [balanced["value"], *(row["value"] for row in recalls.values() if row)]
        ours = [scores.balanced_accuracy.value, *(r.value for r in scores.recall.values())]
        if np.allclose(theirs, ours, rtol=0, atol=1e-5):
            return replace(
                scores,
                recall={
                    c: _with_limits(scores.recall[c], row) for c, row in recalls.items() if row
                },
                balanced_accuracy=_with_limits(scores.balanced_accuracy, balanced),
                intervals=OVER_GROUPS,
            )
    return scores


def _with_limits(rate: Rate, row: Mapping[Hashable, Any]) -> Rate:
    return replace(rate, low=float(row["low"]), high=float(row["high"]))


def held_out_performance(predictions: pd.DataFrame, classes: list[str]) -> Performance | None:
    """Compare labels and predictions of images that had no part in the training.

    Args:
        predictions: columns label and predicted, and split where it is known.
        classes: names of the classes.

    Returns:
        That of all images where none is known to be held out, or where those that are have one
        class; None where fewer than two classes have labelled images.
    """
    if "split" in predictions:
        own = performance(predictions[predictions["split"].isin(HELD_OUT)], classes)
        if own is not None:
            return replace(own, held_out=True)
    return performance(predictions, classes)
