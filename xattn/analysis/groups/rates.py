"""Metrics of a classifier under many weightings of the same images at once.

A bootstrap replicate and a permuted split into two groups are both weightings, so intervals and
p-values come from these functions without a loop over replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats, SampleWeights


@dataclass(frozen=True)
class Outcomes:
    """What a classifier said about n images, and what they are.

    Attributes:
        truth: (n,) class numbers.
        predicted: (n,) class numbers; -1 for a class that is not among `classes`.
        scores: (n, classes) higher where the class is likelier; of two classes the positive one's
            column alone is used.
        classes: names, in the order of the columns.
        positive: number of the class that tpr and fpr refer to; of two classes only, and -1 where
            these are two of more, each of which stands for itself.
        label: (n,) numbers of the labels within which images may take each other's place, where
            they are finer than the classes; default `truth`.
        scored: numbers of the classes that have a tpr, fpr and auc of their own, and that means
            are over; of more than two classes only, default all.
    """

    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    scores: Floats
    classes: list[str]
    positive: int
    label: NDArray[np.intp] | None = None
    scored: tuple[int, ...] | None = None

    @property
    def within(self) -> NDArray[np.intp]:
        """Number of the label within which an image may take another's place, (n,)."""
        return self.truth if self.label is None else self.label

    @property
    def binary(self) -> bool:
        """Whether there are two classes, one of them the positive one."""
        return len(self.classes) == 2 and self.positive >= 0

    @property
    def rated(self) -> list[int]:
        """Classes that have a tpr, fpr and auc of their own: the positive one of two, or those
        scored."""
        if self.binary:
            return [self.positive]
        return list(range(len(self.classes)) if self.scored is None else self.scored)

    @property
    def averaged(self) -> list[int]:
        """Classes whose recalls make the balanced accuracy: both of two, or those scored."""
        return [0, 1] if self.binary else self.rated

    def metrics(self) -> dict[str, list[int]]:
        """Return each metric's name and the classes that it needs images of.

        balanced_accuracy is the mean recall over the classes scored; tpr and fpr are of the
        positive class, or of each class against the rest; auc of the positive class, or the mean
        of one-vs-rest over the classes scored.
        """
        every = list(range(len(self.classes)))
        names = {i: "" if self.binary else f"[{self.classes[i]}]" for i in self.rated}
        return {
            "balanced_accuracy": self.averaged,
            **{f"tpr{name}": [i] for i, name in names.items()},
            **{f"fpr{name}": [j for j in every if j != i] for i, name in names.items()},
            "auc": self.averaged,
        }

    def subset(self, rows: NDArray[np.intp]) -> Outcomes:
        """Return some of the images.

        Args:
            rows: (k,) which.
        """
        return replace(
            self,
            truth=self.truth[rows],
            predicted=self.predicted[rows],
            scores=self.scores[rows],
            label=None if self.label is None else self.label[rows],
        )

    def weighted(self, weights: SampleWeights, means_over: Sequence[int] | None = None) -> Floats:
        """Return all metrics, in the order of `metrics`, under each weighting.

        Args:
            weights: (K, n), whole numbers from 0 (as float32, in which their sums are exact).
            means_over: classes that balanced_accuracy and auc are over, of more than two; default
                all that are scored.

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
        averaged = self.averaged if self.binary or means_over is None else list(means_over)
        ranked = self.rated if self.binary else averaged
        areas = [weighted_auc(weights, self.truth == i, self.scores[:, i]) for i in ranked]
        nothing = np.full(len(weights), np.nan)
        balanced = recall[:, averaged].mean(axis=1) if averaged else nothing
        columns = [balanced, *recall.T[self.rated], *alarm.T[self.rated]]
        return np.stack([*columns, np.mean(areas, axis=0) if areas else nothing], axis=1)


def weighted_auc(weights: SampleWeights, positive: NDArray[np.bool_], score: Floats) -> Floats:
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
    area: Floats = won / _or_nan(pairs)
    return area


def _or_nan(values: Floats) -> Floats:
    """Return values with NaN in place of 0: what rests on nothing is not a number."""
    return np.where(values > 0, values, np.nan)
