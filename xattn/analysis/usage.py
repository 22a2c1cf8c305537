"""Does a classifier use a feature: is the feature independent of its prediction given the label?

      feature ── ? ──> prediction      A classifier that ignores the feature still agrees with it
         ▲                ▲            wherever both follow the label; so the label is held fixed.
         └──── label ─────┘            (Reimers, Runge, Denzler, ECCV 2020)

Within a label, a dependence can still come through a correlate of the feature: the test says that
the prediction carries the feature's information, not that the feature is its cause.

The p-value comes from permuting predictions within each label, groups kept together, and is exact
(see `permutation`). All features with the same images known share their permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.adjust import minimum_p
from xattn.analysis.codes import codes, group_codes
from xattn.analysis.columns import Column, as_column
from xattn.analysis.effects import main_direction, rank_effect
from xattn.analysis.information import (
    Information,
    conditional_information,
    feature_bins,
    quantile_bins,
)
from xattn.analysis.permutation import Stratum, within_label_permutations
from xattn.analysis.resampling import FEWEST_GROUPS, group_weights
from xattn.analysis.statistics import (
    Statistic,
    feature_embedding,
    find_statistic,
    permuted_statistics,
    prediction_embedding,
)

_EXCESS_PERMUTATIONS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class UsageResult:
    """Outcome of one conditional independence test.

    Attributes:
        feature, kind: what was tested.
        test: statistic(aspect), e.g. "rank(presence)"; "min-p(...)" for several at once.
        n: images tested: label, prediction and feature known, and their group exchangeable.
        groups: number of groups among them.
        strata_dropped: groups whose make-up no other group shares, which cannot be permuted.
        statistic: in [0, 1], 0 without dependence; for several tests, the least of their p-values.
        p_value: exact; NaN where nothing could be tested, for the reason in `note`.
        effect_bits: I(prediction; feature | label) in bits, its excess by chance subtracted.
        effect_low, effect_high: 95 % bootstrap interval over groups.
        rank_effect: in [-1, 1], see `effects.rank_effect`.
        smallest_p: the least p-value that could have come out.
        p_by_test: p-value of each statistic by itself.
        note: why there is no result, else empty.
    """

    feature: str
    kind: str
    test: str
    n: int
    groups: int
    strata_dropped: tuple[Stratum, ...]
    statistic: float
    p_value: float
    effect_bits: float
    effect_low: float
    effect_high: float
    rank_effect: float
    smallest_p: float
    p_by_test: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the row for feature_usage.csv, all but what needs the whole table."""
        return {
            "feature": self.feature,
            "kind": self.kind,
            "test": self.test,
            "n": self.n,
            "groups": self.groups,
            "strata_dropped": len(self.strata_dropped),
            "statistic": self.statistic,
            "p_value": self.p_value,
            "effect_bits": self.effect_bits,
            "effect_low": self.effect_low,
            "effect_high": self.effect_high,
            "rank_effect": self.rank_effect,
            "smallest_p": self.smallest_p,
            "note": self.note or None,
        }


def usage_test(
    feature: ArrayLike | Column,
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tests: Sequence[str] = ("rank",),
    permutations: int = 999,
    bootstrap: int = 1000,
    seed: int = 0,
) -> UsageResult:
    """Test whether predictions depend on one feature given the label.

    Args:
        feature: (n,) numbers, yes/no, or names; missing where unknown.
        prediction: (n,) a score such as the logit difference, or (n, classes) probabilities.
        label: (n,) reference labels of any kind; missing where unknown.
        groups: (n,) lesion, patient or slide, whose images are not independent.
        tests: names of statistics; with several, the p-value is that of their minimum p, exact
            on shared permutations (no further correction is needed for having tried several).
        permutations: number drawn; the p-value is at least 1 / (1 + permutations).
        bootstrap: replicates for the interval of `effect_bits`; 0 for none.
        seed: same seed, same result.

    Raises:
        UsageError: a test is unknown.
        ValueError: lengths differ.

    >>> label = np.repeat(["benign", "malignant"], 50)
    >>> ruler = np.tile([0, 1], 50)
    >>> score = np.arange(100) % 7 + 2.0 * ruler
    >>> usage_test(ruler, score, label).p_value
    0.001
    """
    column = feature if isinstance(feature, Column) else as_column(feature)
    return usage_tests(
        [column],
        prediction,
        label,
        groups,
        tests=tests,
        permutations=permutations,
        bootstrap=bootstrap,
        seed=seed,
    )[0]


def usage_tests(
    columns: Sequence[Column],
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tests: Sequence[str] = ("rank",),
    permutations: int = 999,
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[UsageResult]:
    """Test several features; those known for the same images share permutations and products.

    Arguments as `usage_test`. Returns one result per column, in order.
    """
    scores = _scores(prediction)
    label_code, names = codes(label)
    group = group_codes(groups, len(label_code))
    lengths = [("predictions", len(scores)), *((c.feature, len(c.values)) for c in columns)]
    for what, length in lengths:
        if length != len(label_code):
            raise ValueError(f"Expected {len(label_code)} {what}, one a label, but got {length}")
    known = (label_code >= 0) & np.isfinite(scores).all(axis=1)
    patterns: dict[bytes, list[int]] = {}
    for i, column in enumerate(columns):
        patterns.setdefault((known & column.known).tobytes(), []).append(i)
    results: dict[int, UsageResult] = {}
    for mine in patterns.values():
        rows = np.flatnonzero(known & columns[mine[0]].known)
        sample = _Sample.of(rows, scores, label_code, names, group, permutations, seed)
        found = sample.test([columns[i] for i in mine], tests, bootstrap, seed)
        results |= dict(zip(mine, found, strict=True))
    return [results[i] for i in range(len(columns))]


@dataclass(frozen=True)
class _Sample:
    """The images on which some features are tested, sorted by label.

    Attributes:
        rows: (n,) their numbers in the whole table.
        index: (1 + P, n) permutations, the identity first.
    """

    rows: NDArray[np.intp]
    prediction: Array
    label: NDArray[np.intp]
    group: NDArray[np.intp]
    index: NDArray[np.int32]
    dropped: tuple[Stratum, ...]
    smallest_p: float

    @classmethod
    def of(
        cls,
        rows: NDArray[np.intp],
        prediction: Array,
        label: NDArray[np.intp],
        names: NDArray[Any],
        group: NDArray[np.intp],
        permutations: int,
        seed: int,
    ) -> _Sample:
        rows = rows[np.argsort(label[rows], kind="stable")]
        drawn = within_label_permutations(names[label[rows]], group[rows], permutations, seed)
        kept = rows[drawn.kept]
        return cls(
            kept,
            prediction[kept],
            label[kept],
            group[kept],
            drawn.of_kept(),
            drawn.dropped,
            drawn.smallest_p,
        )

    def test(
        self, columns: Sequence[Column], tests: Sequence[str], bootstrap: int, seed: int
    ) -> list[UsageResult]:
        """Test features known for all these images."""
        statistics = [find_statistic(name) for name in tests]
        if not len(self.rows):
            return [
                self._nothing(c, tests, "no group can take the place of another") for c in columns
            ]
        values = np.stack([self._statistics(stat, columns) for stat in statistics], axis=2)
        bits = self._information(columns, bootstrap, seed)
        results = []
        for i, column in enumerate(columns):
            if np.isnan(values[:, i]).any():
                results.append(self._nothing(column, tests, "constant within every label"))
                continue
            each, combined = minimum_p(values[:, i])
            results.append(
                UsageResult(
                    **self._facts(column, tests),
                    statistic=float(np.sqrt(values[0, i, 0])) if len(tests) == 1 else min(each),
                    p_value=combined,
                    effect_bits=float(bits.bits[i]),
                    effect_low=float(bits.low[i]),
                    effect_high=float(bits.high[i]),
                    rank_effect=rank_effect(column, self.rows, self.prediction, self.label),
                    p_by_test=dict(zip(tests, each, strict=True)),
                )
            )
        return results

    def _statistics(self, stat: Statistic, columns: Sequence[Column]) -> Array:
        """Return one statistic of each feature, observed and permuted: (1 + P, features)."""
        features = [feature_embedding(stat, c, self.rows, self.label) for c in columns]
        prediction = prediction_embedding(stat, self.prediction, self.label)
        return permuted_statistics(stat, features, prediction, self.label, self.index)

    def _information(self, columns: Sequence[Column], bootstrap: int, seed: int) -> Information:
        weights = None
        if len(np.unique(self.group)) >= FEWEST_GROUPS and bootstrap > 0:
            weights = group_weights(self.group, len(self.rows), bootstrap, seed)
        return conditional_information(
            [feature_bins(c, self.rows, self.label) for c in columns],
            quantile_bins(main_direction(self.prediction, self.label), self.label),
            self.label,
            self.index[1 : 1 + _EXCESS_PERMUTATIONS],
            weights,
        )

    def _facts(self, column: Column, tests: Sequence[str]) -> dict[str, Any]:
        name = tests[0] if len(tests) == 1 else "min-p"
        return {
            "feature": column.feature,
            "kind": column.kind,
            "test": f"{name}({column.aspect})",
            "n": len(self.rows),
            "groups": len(np.unique(self.group)),
            "strata_dropped": self.dropped,
            "smallest_p": self.smallest_p,
        }

    def _nothing(self, column: Column, tests: Sequence[str], note: str) -> UsageResult:
        return UsageResult(**self._facts(column, tests), **_NO_NUMBERS, note=note)


_NO_NUMBERS: dict[str, Any] = dict.fromkeys(
    ("statistic", "p_value", "effect_bits", "effect_low", "effect_high", "rank_effect"),
    float("nan"),
)


def _scores(prediction: ArrayLike) -> Array:
    """Return predictions as (n, q); of two probabilities one says all."""
    scores = np.asarray(prediction, dtype=np.float64)
    if scores.ndim == 1:
        return scores[:, None]
    if scores.ndim != 2:
        raise ValueError(f"Expected predictions (n,) or (n, classes), but got shape {scores.shape}")
    return scores[:, 1:] if scores.shape[1] == 2 else scores
