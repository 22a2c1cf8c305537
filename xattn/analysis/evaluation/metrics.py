"""Every metric of a classifier under many weightings of the same images at once.

A bootstrap replicate is a weighting, so all intervals come from matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.evaluation.calibration import Binned, calibration_error, equal_mass, equal_width
from xattn.stats.arrays import Floats
from xattn.stats.weighted_metrics import auc_of, margin

ALL = "all"
"""In place of a class: the metric is of all classes together."""

PER_CLASS = ("sensitivity", "specificity", "precision", "f1")
"""Metrics of each class, of a decision for it."""

OF_GRADES = ("quadratic_kappa", "grade_mae")
"""Metrics of ordered classes, of which a mistake by two grades is worse than one by one."""

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "ece", "ece_adaptive", "grade_mae"})

PLUG_IN_BIAS = frozenset({"ece", "ece_adaptive"})
"""Metrics that chance drives up, in the sample and again in every replicate."""


def by_guessing(classes: int) -> dict[str, float]:
    """Return the level of chance of the metrics that have the same one on any images.

    Args:
        classes: how many.
    """
    return {"balanced_accuracy": 1 / classes, "auc": 0.5}


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of n images, and what they are.

    Attributes:
        logits: (n, classes).
        truth: (n,) class numbers.
        classes: names, in the order of the logits.
        decided: (n,) number of the class that was decided for, where that is not the one of the
            largest logit.
        positive: of two classes the one whose ranking is told.
        ordered: whether the classes are grades, the lowest first.
    """

    logits: Floats
    truth: NDArray[np.intp]
    classes: tuple[str, ...]
    decided: NDArray[np.intp] | None = None
    positive: int = 1
    ordered: bool = False

    @cached_property
    def log_probabilities(self) -> Floats:
        """(n, classes)."""
        values: Floats = self.logits - np.logaddexp.reduce(self.logits, axis=1, keepdims=True)
        return values

    @cached_property
    def predicted(self) -> NDArray[np.intp]:
        """Class that was decided for, mostly that of the largest logit, (n,)."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.logits.argmax(axis=1), dtype=np.intp)

    @cached_property
    def hit(self) -> NDArray[np.bool_]:
        """Whether the prediction is right, (n,)."""
        return np.asarray(self.predicted == self.truth)

    @cached_property
    def confidence(self) -> Floats:
        """Probability of the predicted class, (n,)."""
        own = self.log_probabilities[np.arange(len(self.truth)), self.predicted]
        return np.asarray(np.exp(own))

    @cached_property
    def binned(self) -> dict[str, Binned]:
        """The images in bins of equal width and of equal mass."""
        return {
            "ece": equal_width(self.confidence, self.hit),
            "ece_adaptive": equal_mass(self.confidence, self.hit),
        }

    @cached_property
    def frequencies(self) -> Floats:
        """Fraction of each class among the images, (classes,)."""
        return np.bincount(self.truth, minlength=len(self.classes)) / max(1, len(self.truth))

    @cached_property
    def _is_class(self) -> NDArray[np.bool_]:
        return np.asarray(self.truth[:, None] == np.arange(len(self.classes)))

    @property
    def _ranked(self) -> list[int]:
        """Classes with a ranking of their own: of two classes one is the mirror of the other."""
        return [self.positive] if len(self.classes) == 2 else list(range(len(self.classes)))

    @cached_property
    def averaged(self) -> list[int]:
        """Classes that means are over: those with images where two of more have some, else all."""
        there = np.flatnonzero(self.frequencies).tolist()
        return there if 1 < len(there) < len(self.classes) else list(range(len(self.classes)))

    @property
    def names(self) -> list[tuple[str, str]]:
        """(metric, class) of the columns of `weighted`."""
        each = [(m, c) for m in PER_CLASS for c in self.classes]
        ranks = [("auc", ALL)]
        if len(self._ranked) == 1:
            ranks += [("average_precision", self.classes[self.positive])]
        else:
            ranks += [("average_precision", ALL)]
            ranks += [(m, c) for m in ("auc", "average_precision") for c in self.classes]
        single = ("f1", "accuracy", "brier", "log_loss", "ece", "ece_adaptive")
        grades = OF_GRADES if self.ordered else ()
        return [("balanced_accuracy", ALL), *ranks, *each, *((m, ALL) for m in (*single, *grades))]

    def weighted(self, weights: NDArray[np.floating]) -> Floats:
        """Return all metrics under each weighting, in the order of `names`: (K, metrics).

        Args:
            weights: (K, n), not negative. A class without weight gives NaN where it is needed.
        """
        w = np.asarray(weights, dtype=np.float64)
        sums = self._sums(w)
        total = w.sum(axis=1)
        of_class = sums["of_class"]
        with np.errstate(invalid="ignore", divide="ignore"):
            sensitivity = sums["right"] / of_class
            rest = total[:, None] - of_class
            specificity = 1 - (sums["said"] - sums["right"]) / rest
            precision = sums["right"] / sums["said"]
            f1 = 2 * sums["right"] / (of_class + sums["said"])
            losses = [sums["losses"][:, i] / total for i in range(sums["losses"].shape[1])]
        balanced, mean_f1 = (v[:, self.averaged].mean(axis=1) for v in (sensitivity, f1))
        each = [column for v in (sensitivity, specificity, precision, f1) for column in v.T]
        errors = [calibration_error(sums[name], total) for name in self.binned]
        if self.ordered:
            errors += of_grades(self.predicted, self.truth, w)
        return np.stack([balanced, *self._ranking(w), *each, mean_f1, *losses, *errors], axis=1)

    def chance(self, seed: int = 0) -> Floats:
        """Return what each metric is without any knowledge of the image, (metrics,).

        Sensitivity, specificity, precision and F1: the same predictions, assigned to images at
        random. Average precision: fraction of the class. Brier score and log loss: always giving
        the classes' frequencies as probabilities. Calibration errors: a calibrated model, on
        as many images. Mean error of grades: always saying the median grade.

        Args:
            seed: of what a calibrated model would show.
        """
        said = np.bincount(self.predicted, minlength=len(self.classes)) / max(1, len(self.truth))
        q, k = self.frequencies, len(self.classes)
        there = len(self.averaged)
        ranks = [0.5, q[self.positive]] if k == 2 else [0.5, 1 / there, *[0.5] * k, *q]
        with np.errstate(invalid="ignore"):
            f1 = 2 * said * q / (said + q)
        entropy = -float((q[q > 0] * np.log(q[q > 0])).sum())
        brier = float(1 - (q**2).sum()) / (2 if k == 2 else 1)
        errors = [binned.expected_errors(seed).mean() for binned in self.binned.values()]
        if self.ordered:
            errors += [0.0, float(np.abs(self.truth - np.median(self.truth)).mean())]
        guess = float(said @ q)
        each = [*said, *(1 - said), *q, *f1, f1[self.averaged].mean()]
        return np.array([1 / there, *ranks, *each, guess, brier, entropy, *errors])

    def calibrated(self, seed: int = 0) -> NDArray[np.bool_]:
        """Say which metrics are errors that a calibrated model might show as well, (metrics,).

        True for a calibration error below the 97.5 % quantile of what such a model shows.

        Args:
            seed: of what a calibrated model would show.

        Returns:
            (metrics,) booleans.
        """
        errors = self.weighted(np.ones((1, len(self.truth))))[0]
        limits = {
            name: np.quantile(binned.expected_errors(seed), 0.975)
            for name, binned in self.binned.items()
        }
        return np.array(
            [e <= limits.get(m, -np.inf) for e, (m, _) in zip(errors, self.names, strict=True)]
        )

    @cached_property
    def _per_image(self) -> dict[str, Floats]:
        """What is summed over images, by name, (n, some)."""
        said = self.predicted[:, None] == np.arange(len(self.classes))
        own = self.log_probabilities[np.arange(len(self.truth)), self.truth]
        squares = np.square(np.exp(self.log_probabilities) - self._is_class).sum(axis=1)
        brier = squares / (2 if len(self.classes) == 2 else 1)
        parts = {
            "of_class": self._is_class,
            "right": self._is_class & self.hit[:, None],
            "said": said,
            "losses": np.stack([self.hit, brier, -own], axis=1),
            **{name: binned.excess for name, binned in self.binned.items()},
        }
        return {name: np.asarray(part, dtype=np.float64) for name, part in parts.items()}

    def _sums(self, weights: Floats) -> dict[str, Floats]:
        parts = self._per_image
        together = weights @ np.concatenate(list(parts.values()), axis=1)
        ends = np.cumsum([part.shape[1] for part in parts.values()])[:-1]
        return dict(zip(parts, np.split(together, ends, axis=1), strict=True))

    def _ranking(self, weights: Floats) -> list[Floats]:
        """Return the columns of AUC and average precision, in the order of `names`."""
        values = {c: margin(self.logits, c) for c in self._ranked}
        areas = [auc_of(v, self.truth == c, weights) for c, v in values.items()]
        precisions = [average_precision(v, self.truth == c, weights) for c, v in values.items()]
        if len(values) == 1:
            return [*areas, *precisions]
        means = [np.mean([v[i] for i in self.averaged], axis=0) for v in (areas, precisions)]
        return [*means, *areas, *precisions]


def of_grades(
    predicted: NDArray[np.intp], truth: NDArray[np.intp], weights: NDArray[np.floating]
) -> list[Floats]:
    """Return quadratic weighted kappa and the mean absolute error in grades, (K,) each.

    Kappa (Cohen 1968) is 1 less the mean squared error over what the same two distributions of
    grades would give if they were independent, in which form all weightings are three products;
    scikit-learn's `cohen_kappa_score(weights="quadratic")` gives the same.

    Args:
        predicted, truth: (n,) numbers of grades.
        weights: (K, n), not negative. Where both are one and the same grade, kappa is NaN.
    """
    w = np.asarray(weights, dtype=np.float64)
    said, true = predicted.astype(np.float64), truth.astype(np.float64)
    error = said - true
    sides = np.stack([said, true, said**2, true**2, error**2, np.abs(error)], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = w @ sides / w.sum(axis=1, keepdims=True)
        first, second, squares, others, observed, absolute = means.T
        expected = squares + others - 2 * first * second
        kappa = 1 - observed / np.where(expected > 1e-12, expected, np.nan)
    return [kappa, absolute]


def average_precision(
    values: Floats, positive: NDArray[np.bool_], weights: NDArray[np.floating]
) -> Floats:
    """Return the average precision (K,): precision at each threshold, weighted by recall gained.

    Equal values are passed at once; nothing is interpolated.

    Args:
        values: (n,), large means positive.
        positive: (n,).
        weights: (K, n), not negative. Without weight on a positive the result is NaN.
    """
    order = np.argsort(-values, kind="stable")
    starts = np.flatnonzero(np.diff(-values[order], prepend=-np.inf))  # of runs of equal values
    ranked = np.asarray(weights, dtype=np.float64)[:, order]
    gained = np.add.reduceat(ranked * positive[order], starts, axis=1)
    taken = np.cumsum(np.add.reduceat(ranked, starts, axis=1), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(taken > 0, np.cumsum(gained, axis=1) / taken, 0.0)
        result: Floats = (gained * precision).sum(axis=1) / gained.sum(axis=1)
    return result
