"""performance.csv, confusion.csv, reliability.csv: each number with interval and chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.evaluation.confusion import confusion_rows
from xattn.analysis.evaluation.metrics import ALL, PLUG_IN_BIAS, Predictions
from xattn.analysis.evaluation.parts import as_predictions, domains_and_splits, whole_splits
from xattn.analysis.evaluation.reliability import reliability_rows
from xattn.analysis.positive import Positive
from xattn.stats.arrays import Floats
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

GAP = "ood-test"
"""In place of a split: the metric out of distribution minus the same in distribution."""

_BLOCK = 2**20


@dataclass(frozen=True)
class Measured:
    """All metrics on one set of images.

    Attributes:
        split, domain: which images.
        n, groups: their number, and that of the groups that were resampled.
        names: (metric, class) of each metric.
        values: (metrics,).
        replicates: (K, metrics); no rows where the groups are too few for intervals.
        chance: (metrics,).
        calibrated: (metrics,) which are errors that a calibrated model might show as well.
    """

    split: str
    domain: str
    n: int
    groups: int
    names: tuple[tuple[str, str], ...]
    values: Floats
    replicates: Floats
    chance: Floats
    calibrated: NDArray[np.bool_]

    def minus(self, other: Measured) -> Measured:
        """Return the difference; the two sets of images share no group.

        Args:
            other: the same metrics of other images.
        """
        k = min(len(self.replicates), len(other.replicates))
        return Measured(
            GAP,
            self.domain,
            self.n + other.n,
            self.groups + other.groups,
            self.names,
            self.values - other.values,
            self.replicates[:k] - other.replicates[:k],
            self.chance - other.chance,
            np.zeros(len(self.names), dtype=bool),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows of performance.csv."""
        low, high = self._interval()
        for i, (metric, name) in enumerate(self.names):
            yield {
                "split": self.split,
                "domain": self.domain,
                "metric": metric,
                "class": name,
                "n": self.n,
                "groups": self.groups,
                "value": self.values[i],
                "low": low[i],
                "high": high[i],
                "chance": self.chance[i],
            }

    def _interval(self) -> tuple[Floats, Floats]:
        if not len(self.replicates):
            nothing = np.full(len(self.names), np.nan)
            return nothing, nothing
        low, high = percentile_interval(self.replicates)
        biased = np.array([metric in PLUG_IN_BIAS for metric, _ in self.names])
        turned = _turned(self, low, high)
        return np.where(biased, turned[0], low), np.where(biased, turned[1], high)


def _turned(measured: Measured, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the intervals of metrics that chance drives up in the sample and again in replicates.

    Turned round (the basic bootstrap) they take that bias off instead of adding it again. Where a
    calibrated model might show the same, the interval goes from 0 to the value at least.
    """
    value = measured.values
    least = -np.inf if measured.split == GAP else 0.0
    low, high = np.maximum(2 * value - high, least), np.maximum(2 * value - low, least)
    fine = measured.calibrated
    return np.where(fine, 0.0, low), np.where(fine, np.maximum(high, value), high)


def performance_table(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    positive: Positive | None = None,
    ordered: bool = False,
    bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return performance.csv: one row per split, domain, metric and class.

    Intervals hold 95 % and come from a bootstrap over groups, each split and domain on its own;
    they are NaN with fewer than five groups, and where a class is missing in more than a
    twentieth of the replicates. If there are the splits test and ood, rows of the split
    `ood-test` give ood - test, and each domain of ood minus all of test.

    Args:
        predictions: columns split, domain ("" or missing where unknown), group (missing: the image
            stands alone), label, logit_<class>; every label is one of the classes.
        classes: in the order of the logits.
        positive: which classes are told apart; default each by itself.
        ordered: whether the classes are grades, the lowest first, which adds `OF_GRADES`.
        bootstrap: replicates.
        seed: same seed, same table.
    """
    spoken = positive or Positive.of(classes)
    sets = [
        _measure(part, split, domain, spoken, ordered, bootstrap, number)
        for split, domain, part, number in domains_and_splits(predictions, seed)
    ]
    test = next((m for m in sets if (m.split, m.domain) == ("test", ALL)), None)
    if test is not None:
        sets += [m.minus(test) for m in sets if m.split == "ood"]
    return pd.DataFrame([row for measured in sets for row in measured.rows()])


def reliability_table(
    predictions: pd.DataFrame, classes: Sequence[str], **options: Unpack[Options]
) -> pd.DataFrame:
    """Return reliability.csv: one row per split, kind of bins and bin; see `reliability_rows`.

    Args:
        predictions, classes: as for `performance_table`.
        options: as of `performance_table`.
    """
    return _of_splits(reliability_rows, predictions, classes, **options)


def confusion_table(
    predictions: pd.DataFrame, classes: Sequence[str], **options: Unpack[Options]
) -> pd.DataFrame:
    """Return confusion.csv: one row per split, label and predicted class; see `confusion_rows`.

    Args:
        predictions, classes: as for `performance_table`.
        options: as of `performance_table`.
    """
    return _of_splits(confusion_rows, predictions, classes, **options)


class Options(TypedDict, total=False):
    """What the tables of an evaluation may be told, see `performance_table`."""

    positive: Positive | None
    bootstrap: int
    seed: int


def _of_splits(
    rows: Callable[[Predictions, pd.Series[Any], str, int, int], Iterator[dict[str, Any]]],
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    positive: Positive | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Gather the rows of each split as a whole."""
    spoken = positive or Positive.of(classes)
    return pd.DataFrame(
        row
        for split, part, number in whole_splits(predictions, seed)
        for row in rows(as_predictions(part, spoken), part["group"], split, bootstrap, number)
    )


def _measure(
    part: pd.DataFrame,
    split: str,
    domain: str,
    positive: Positive,
    ordered: bool,
    bootstrap: int,
    seed: int,
) -> Measured:
    said = as_predictions(part, positive, ordered=ordered)
    n, group = len(part), group_codes(part["group"], len(part))
    groups = int(group.max()) + 1
    enough = groups >= FEWEST_GROUPS
    names = tuple(said.names)
    replicates = np.empty((0, len(names)))
    if enough:
        weights = group_weights(group, n, bootstrap, seed)
        step = max(1, _BLOCK // n)
        blocks = [said.weighted(weights[k : k + step]) for k in range(0, bootstrap, step)]
        replicates = np.concatenate(blocks)
    values = said.weighted(np.ones((1, n)))[0]
    chance, fine = said.chance(seed), said.calibrated(seed)
    return Measured(split, domain, n, groups, names, values, replicates, chance, fine)
