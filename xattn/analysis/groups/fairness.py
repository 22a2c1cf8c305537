"""How far the groups of one feature are apart at most: equalised odds, demographic parity.

    label ──> group      Equalised odds (Hardt et al. 2016): within a label, the decision does not
      │         ┆ null   depend on the group. Tested by permuting groups within each label.
      └──> decision      Demographic parity: it does not at all. Tested by permuting groups.

| metric                        | is                                                      | none |
|-------------------------------|---------------------------------------------------------|------|
| equalized_odds_difference     | largest gap of tpr or fpr between two groups            | 0    |
| equalized_odds_ratio          | least ratio of tpr or fpr of two groups                 | 1    |
| demographic_parity_difference | largest gap of the fraction predicted positive          | 0    |

As fairlearn defines them (Bird et al. 2020), which computes the values of two classes; with more,
each class against the rest, over the groups that have enough images of it, the largest gap of all.
A largest gap is never 0, even where groups
are treated alike: chance drives it up, in the sample and again in every bootstrap replicate. So
`chance` stands beside it, and the interval allows for it on either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.groups.bias import FEWEST_IMAGES
from xattn.analysis.groups.rates import Outcomes
from xattn.stats.adjust import enough_permutations, holm, upper_p
from xattn.stats.arrays import Floats, SampleWeights
from xattn.stats.codes import group_codes
from xattn.stats.columns import Column
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, drawn_weights, percentile_interval

METRICS = ("equalized_odds_difference", "equalized_odds_ratio", "demographic_parity_difference")

_BLOCK = 2**18
_EVEN = np.array([0.0, 1.0, 0.0])
"""What each metric is where groups are treated alike."""


def fairness_table(
    columns: Sequence[Column],
    outcomes: Outcomes,
    groups: ArrayLike | None = None,
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return fairness.csv: one row per feature and metric.

    A category with fewer than ten images of a class, or of the others together, is not compared
    on that class; one that is compared on none is left out and named, and with fewer than two left
    there are no numbers. `classes` names those that two categories were compared on. p-values are
    exact; Holm's adjustment runs over the features, metric by metric. `low` and `high` hold 95 %
    (percentile and basic bootstrap over groups, united); where p is above 0.05 they reach to no
    difference.

    Args:
        columns: nominal, or with presence where the value is above 0; images where the value is
            unknown are left out.
        outcomes: of n images.
        groups: (n,) lesions or patients, whose images are not independent.
        permutations: more are drawn if the number of features asks for it.
        bootstrap: replicates for intervals.
        alpha: level that the adjusted p-values are meant for.
        seed: same seed, same table.
    """
    group = group_codes(groups, len(outcomes.truth))
    draws = enough_permutations(permutations, len(columns), alpha)
    rows = [
        row
        for column in columns
        for row in _rows(_Compared.of(column, outcomes, group), column, draws, bootstrap, seed)
    ]
    table = pd.DataFrame(rows)
    if rows:
        adjusted = table.groupby("metric")["p_value"].transform(lambda p: holm(p))
        table.insert(list(table.columns).index("p_value") + 1, "p_adjusted", adjusted)
    table.attrs["permutations"] = draws
    return table


@dataclass(frozen=True)
class _Compared:
    """The images whose groups are compared.

    Attributes:
        outcomes: of n images.
        member: (n,) number of the group of patients.
        group: (n,) lesions or patients.
        names: of the groups compared.
        left_out: names of those with too few images.
        asked: numbers of the classes that groups are compared on.
        enough: (groups, asked) whether a group has enough images of the class.
    """

    outcomes: Outcomes
    member: NDArray[np.intp]
    group: NDArray[np.intp]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    asked: tuple[int, ...]
    enough: NDArray[np.bool_]

    @classmethod
    def of(cls, column: Column, outcomes: Outcomes, group: NDArray[np.intp]) -> _Compared:
        names = column.categories or ("absent", "present")
        values = column.values if column.nominal else (column.values > 0).astype(np.float64)
        code = np.where(column.known, np.nan_to_num(values), -1).astype(np.intp)
        counts = np.zeros((len(names), len(outcomes.classes)), dtype=np.intp)
        np.add.at(counts, (code[code >= 0], outcomes.truth[code >= 0]), 1)
        rest = counts.sum(axis=1, keepdims=True) - counts
        spoken = outcomes.rated
        each = np.minimum(counts[:, spoken], rest[:, spoken]) >= FEWEST_IMAGES
        compared = (each.sum(axis=0) > 1) | outcomes.binary
        each = each[:, compared]
        enough = each.any(axis=1)
        number = np.where(enough, np.cumsum(enough) - 1, -1)
        rows = np.flatnonzero((code >= 0) & enough[code])
        return cls(
            outcomes.subset(rows),
            number[code[rows]],
            group[rows],
            tuple(n for n, ok in zip(names, enough, strict=True) if ok),
            tuple(n for n, ok, c in zip(names, enough, counts, strict=True) if not ok and c.any()),
            tuple(np.array(spoken, dtype=int)[compared].tolist()),
            each[enough],
        )

    @property
    def counted(self) -> SampleWeights:
        """What is summed over images, (n, 4 x classes asked for): of the class, not of it, and
        how many of each are predicted to be of it."""
        asked = list(self.asked)
        of_class = self.outcomes.truth[:, None] == asked
        said = self.outcomes.predicted[:, None] == asked
        parts = [of_class, ~of_class, of_class & said, ~of_class & said]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def values(self) -> Floats:
        """Return the metrics, (3,): those of two classes by fairlearn."""
        own: Floats = self._apart(np.ones((1, len(self.member)), np.float32))[0]
        if not self.outcomes.binary:
            return own
        from fairlearn import metrics

        said = {
            "y_true": self.outcomes.truth == self.outcomes.positive,
            "y_pred": self.outcomes.predicted == self.outcomes.positive,
            "sensitive_features": self.member,
        }
        theirs = np.array([getattr(metrics, name)(**said) for name in METRICS], dtype=np.float64)
        # A rate that is 0 in every group has no ratio there.
        result: Floats = np.where(np.isnan(theirs), own, theirs)
        return result

    def drawn(self, bootstrap: int, seed: int) -> Floats:
        """Return the metrics under bootstrap weights, (K, 3)."""
        weights = drawn_weights(self.group, len(self.group), bootstrap, seed)
        return np.concatenate([self._apart(weights[s]) for s in _cut(*weights.shape)])

    def permuted(self, given_label: bool, permutations: int, seed: int) -> Floats:
        """Return the metrics of permuted groups of patients, the observed ones first."""
        label = self.outcomes.within
        condition = label if given_label else np.zeros_like(label)
        drawn = within_label_permutations(condition, self.group, permutations, seed)
        counted, own, index = self.counted[drawn.kept], self.member[drawn.kept], drawn.of_kept()
        found = []
        for some in _cut(*index.shape):
            member = own[index[some]]
            sums = [(member == i).astype(np.float32) @ counted for i in range(len(self.names))]
            found.append(apart(np.stack(sums, axis=1), self.enough))
        return np.concatenate(found)

    def _apart(self, weights: SampleWeights) -> Floats:
        return apart(self._sums_of(weights), self.enough)

    def _sums_of(self, weights: SampleWeights) -> NDArray[np.float32]:
        """Return sums over weighted images, (K, groups, 4 x classes)."""
        counted = self.counted
        parts = [counted * (self.member == i)[:, None] for i in range(len(self.names))]
        sums: NDArray[np.float32] = weights @ np.concatenate(parts, axis=1)
        return sums.reshape(len(weights), len(self.names), -1)


def apart(sums: NDArray[np.floating], enough: NDArray[np.bool_] | None = None) -> Floats:
    """Return the metrics from counts: (K, 3).

    Args:
        sums: (K, groups, 4 x classes), see `_Compared.counted`. NaN where a group has no image of
            a class, or none of the others.
        enough: (groups, classes) which groups are compared on a class; default all on each.
    """
    inside, outside, right, wrong = np.split(sums.astype(np.float64), 4, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.concatenate([right / inside, wrong / outside], axis=2)
        chosen = (right + wrong) / (inside + outside)
        twice = None if enough is None else np.concatenate([enough, enough], axis=1)
        low, high = _ends(rates, twice)
        ratio = np.where(high == 0, 1.0, low / high)
        least, most = _ends(chosen, enough)
    parity = (most - least).max(axis=1)
    return np.stack([(high - low).max(axis=1), ratio.min(axis=1), parity], axis=1)


def _ends(values: Floats, where: NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
    """Return the least and the largest of some groups, (K, columns), of (K, groups, columns)."""
    if where is None:
        return values.min(axis=1), values.max(axis=1)
    least: Floats = np.where(where, values, np.inf).min(axis=1)
    largest: Floats = np.where(where, values, -np.inf).max(axis=1)
    return least, largest


def _rows(
    compared: _Compared, column: Column, permutations: int, bootstrap: int, seed: int
) -> Iterator[dict[str, Any]]:
    values, low, high, chance, p = (np.full(len(METRICS), np.nan) for _ in range(5))
    if len(compared.names) > 1:
        values = compared.values()
        chance, p = _against_chance(compared, permutations, seed)
        if len(np.unique(compared.group)) >= FEWEST_GROUPS and bootstrap > 0:
            low, high = _interval(values, compared.drawn(bootstrap, seed), p)
    for i, metric in enumerate(METRICS):
        yield {
            "feature": column.feature,
            "kind": column.kind,
            "metric": metric,
            "n": len(compared.member) if len(compared.names) > 1 else 0,
            "categories": "; ".join(compared.names),
            "value": values[i],
            "low": low[i],
            "high": high[i],
            "chance": chance[i],
            "p_value": p[i],
            "left_out": "; ".join(compared.left_out) or None,
            "classes": "; ".join(compared.outcomes.classes[i] for i in compared.asked) or None,
        }


def _against_chance(compared: _Compared, permutations: int, seed: int) -> tuple[Floats, Floats]:
    """Return what each metric is by chance, and its p-value."""
    odds = compared.permuted(True, permutations, seed)[:, :2]
    parity = compared.permuted(False, permutations, seed)[:, 2:]
    every = np.concatenate([odds, parity], axis=1)
    signs = np.where(_EVEN == 1, -1.0, 1.0)  # a ratio is far from even where it is small
    return every.mean(axis=0), upper_p(every * signs)


def _interval(values: Floats, replicates: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Return the union of the percentile and the basic bootstrap interval, ratios on a log scale.

    Where groups are treated almost alike the percentile interval lies too far from even, where
    they are not the basic one too near: neither alone holds its level, together they do.
    """
    ratio = _EVEN == 1
    below, above = percentile_interval(replicates)
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = [
            np.where(ratio, values * (values / end), 2 * values - end) for end in (above, below)
        ]
    turned = [np.where(ratio & (values == 0), 0.0, end) for end in turned]
    inside = np.stack([values, np.where(p > 0.05, _EVEN, values)])
    low = np.minimum(np.minimum(below, turned[0]), inside.min(axis=0))
    high = np.maximum(np.maximum(above, turned[1]), inside.max(axis=0))
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _cut(k: int, n: int) -> Iterator[slice]:
    """Cut K rows of n into blocks that fit the processor's cache."""
    size = max(1, _BLOCK // max(1, n))
    return (slice(start, start + size) for start in range(0, k, size))
