"""How often the model is right, with an interval and the level of chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from xattn.splits.samples import HELD_OUT

Z_95 = 1.959963984540054
"""Quantile of the normal distribution for two-sided 95 % intervals."""


@dataclass(frozen=True)
class Rate:
    """A fraction of images and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


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
    """

    n: int
    recall: dict[str, Rate]
    balanced_accuracy: Rate
    chance: float
    confusion: pd.DataFrame
    held_out: bool = False


def wilson(hits: int, n: int) -> Rate:
    """Return a fraction with Wilson's 95 % interval (Wilson 1927), which holds near 0 and 1 too."""
    p = hits / n
    middle = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n**2))
    return Rate(p, max(0.0, middle - half), min(1.0, middle + half), n)


def performance(predictions: pd.DataFrame, classes: list[str]) -> Performance | None:
    """Compare `predicted` with `label` over the images that have one.

    The interval of balanced accuracy combines the Wilson limits of the recalls, which are
    independent, by the method of variance estimates recovery (Zou & Donner, Statistics in
    Medicine 2008). It counts every image as independent.

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
    rates, k = list(recall.values()), len(recall)
    mean = sum(r.value for r in rates) / k
    below = math.sqrt(sum((r.value - r.low) ** 2 for r in rates)) / k
    above = math.sqrt(sum((r.high - r.value) ** 2 for r in rates)) / k
    balanced = Rate(mean, max(0.0, mean - below), min(1.0, mean + above), len(known))
    return Performance(len(known), recall, balanced, 1 / k, confusion)


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
