"""Metrics of a classifier under many weightings of the same images at once.

A bootstrap replicate and a permuted split into two groups are both weightings, so intervals and
p-values come from these functions without a loop over replicates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Outcomes:
    """What a classifier said about n images, and what they are.

    Attributes:
        truth: (n,) class numbers.
        predicted: (n,) class numbers; -1 for a class that is not among `classes`.
        scores: (n, classes) higher where the class is likelier; of two classes the positive one's
            column alone is used.
        classes: names, in the order of the columns.
        positive: number of the class that tpr and fpr speak of; of two classes only.
    """

    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    scores: Array
    classes: list[str]
    positive: int

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @property
    def spoken_of(self) -> list[int]:
        """Classes that have a tpr, fpr and auc of their own: the positive one of two, or all."""
        return [self.positive] if self.binary else list(range(len(self.classes)))

    def metrics(self) -> dict[str, list[int]]:
        """Return each metric's name and the classes that it needs images of.

        balanced_accuracy is the mean recall over classes; tpr and fpr are of the positive class,
        or of each class against the rest; auc of the positive class, or the mean of one-vs-rest.
        """
        every = list(range(len(self.classes)))
        names = {i: "" if self.binary else f"[{self.classes[i]}]" for i in self.spoken_of}
        return {
            "balanced_accuracy": every,
            **{f"tpr{name}": [i] for i, name in names.items()},
            **{f"fpr{name}": [j for j in every if j != i] for i, name in names.items()},
            "auc": every,
        }

    def subset(self, rows: NDArray[np.intp]) -> Outcomes:
        """Return some of the images."""
        return Outcomes(
            self.truth[rows], self.predicted[rows], self.scores[rows], self.classes, self.positive
        )

    def weighted(self, weights: Weights) -> Array:
        """Return all metrics, in the order of `metrics`, under each weighting.

        Args:
            weights: (K, n), whole numbers from 0 (as float32, in which their sums are exact).

        Returns:
            (K, metrics); NaN where a needed class has no weight.
        """
        k = len(self.classes)
        is_class = self.truth[:, None] == np.arange(k)
        said = self.predicted[:, None] == np.arange(k)
        counted = np.concatenate([is_class, is_class & said, said], axis=1).astype(np.float32)
        sums = (weights @ counted).astype(np.float64)
        of_class, right, named = sums[:, :k], sums[:, k : 2 * k], sums[:, 2 * k :]
        rest = of_class.sum(axis=1, keepdims=True) - of_class
        recall = right / _or_nan(of_class)
        alarm = (named - right) / _or_nan(rest)
        areas = [weighted_auc(weights, self.truth == i, self.scores[:, i]) for i in self.spoken_of]
        columns = [recall.mean(axis=1), *recall.T[self.spoken_of], *alarm.T[self.spoken_of]]
        return np.stack([*columns, np.mean(areas, axis=0)], axis=1)


def weighted_auc(weights: Weights, positive: NDArray[np.bool_], score: Array) -> Array:
    """Return the area under the ROC curve under each weighting, ties counting half: (K,).

    Args:
        weights: (K, n), whole numbers from 0.
        positive: (n,).
        score: (n,).
    """
    inside = np.flatnonzero(positive)
    outside = np.flatnonzero(~positive)
    outside = outside[np.argsort(score[outside], kind="stable")]
    # Where each positive comes among the negatives: after the lower ones, before the higher ones.
    first = np.searchsorted(score[outside], score[inside], side="left")
    last = np.searchsorted(score[outside], score[inside], side="right")
    below = np.zeros((len(weights), len(outside) + 1), dtype=np.float32)
    np.cumsum(weights[:, outside], axis=1, out=below[:, 1:])
    mine = weights[:, inside]
    won = np.einsum("kp,kp->k", mine, below[:, first] + below[:, last], dtype=np.float64) / 2
    pairs = mine.sum(axis=1, dtype=np.float64) * below[:, -1]
    area: Array = won / _or_nan(pairs)
    return area


def _or_nan(values: Array) -> Array:
    """Return values with NaN in place of 0: what rests on nothing is not a number."""
    return np.where(values > 0, values, np.nan)
