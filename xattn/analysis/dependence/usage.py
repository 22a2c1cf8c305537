"""Does a classifier use a feature: is the feature independent of its prediction given the label?

      feature ── ? ──> prediction      A classifier that ignores the feature still agrees with it
         ▲                ▲            wherever both follow the label; so the label is held fixed.
         └──── label ─────┘            (Reimers, Runge, Denzler, ECCV 2020)

Within a label, a dependence can still come through a correlate of the feature: the test says that
the prediction carries the feature's information, not that the feature is its cause.

The p-value comes from permuting predictions within each label, groups kept together, and is exact
(see `permutation`); how several statistics decide together:
`decisions`. All features with the same images known share their permutations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from xattn.analysis.dependence.decisions import find_decision, find_statistic
from xattn.analysis.dependence.given.table import given_one
from xattn.analysis.dependence.registry import Statistic
from xattn.analysis.dependence.result import UsageResult
from xattn.analysis.dependence.sample import UsageSample
from xattn.errors import UsageError
from xattn.stats.adjust import permuted_p
from xattn.stats.arrays import Floats
from xattn.stats.codes import codes, group_codes
from xattn.stats.columns import Column, as_column

Given = ArrayLike | pd.DataFrame | Mapping[str, ArrayLike] | Sequence[Column]
"""Features that are held fixed."""


def usage_test(
    feature: ArrayLike | Column,
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tests: Sequence[str] | None = None,
    decision: str = "min-p",
    given: Given | None = None,
    permutations: int = 999,
    early_stopping: int | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> UsageResult:
    """Test whether predictions depend on one feature given the label.

    Args:
        feature: (n,) numbers, yes/no, or names, or (n, d) numbers; missing where unknown.
        prediction: (n,) a score such as the logit difference, or (n, classes) probabilities.
        label: (n,) reference labels of any kind; missing where unknown.
        groups: (n,) lesion, patient or slide, whose images are not independent.
        tests: names of statistics; default those of the decision.
        decision: how several statistics decide: "min-p" (their least p-value, exact on shared
            permutations: nothing more is to be corrected for having tried several) or "majority";
            or the name of the statistic that decides alone.
        given: other features to hold fixed beside the label: (n,) or (n, k) numbers, a table with a
            column a feature, a dict of columns, or columns; row by row with the feature, whatever
            their index. Missing values are held fixed as such.
        permutations: number drawn; the p-value is at least 1 / (1 + permutations).
        early_stopping: stop drawing when so many permutations have reached the statistic (Besag
            and Clifford 1991): as exact, quicker where there is nothing. For one statistic only.
        bootstrap: replicates for the intervals; 0 for none.
        seed: same seed, same result.

    Returns:
        The p-value in (0, 1], and effects with their 95 % intervals: `effect_bits` in bits per
        image, `rank_effect` in [-1, 1], `variance_share` at most 1. With `given` also `p_given` of
        the generalised covariance measures, `effect_given`, the partial correlation, and
        `p_equivalent`, that it is 0.15 or more.

    Source: Reimers, Runge and Denzler, ECCV 2020; with `given` Shah and Peters, Annals of
    Statistics 2020, Scheidegger et al., JMLR 2022, Lundborg et al., Annals of Statistics 2024.

    Raises:
        UsageError: a test or decision is unknown, or early stopping asked for with several tests.
        ValueError: lengths differ.

    Examples:
        >>> label = np.repeat(["benign", "malignant"], 50)
        >>> ruler = np.tile([0, 1], 50)
        >>> score = np.arange(100) % 7 + 2.0 * ruler
        >>> xattn.usage_test(ruler, score, label).p_value
        0.001
    """
    column = feature if isinstance(feature, Column) else as_column(feature)
    found = usage_tests(
        [column],
        prediction,
        label,
        groups,
        tests=tests,
        decision=decision,
        permutations=permutations,
        early_stopping=early_stopping,
        bootstrap=bootstrap,
        seed=seed,
    )[0]
    if given is None:
        return found
    held = _columns_of(given)
    for other in held:
        if len(other.values) != len(column.values):
            raise ValueError(
                f"Expected {len(column.values)} values of each feature held fixed, but got "
                f"{len(other.values)}{f' of {other.feature}' if other.feature else ''}; give "
                "(n, k) numbers, a dict or a table with a column a feature"
            )
    told = given_one(
        column, held, scores_of(prediction), label, groups,
        permutations=permutations, bootstrap=bootstrap, seed=seed,
    )  # fmt: skip
    told["note"] = "; ".join(filter(None, (found.note, told.get("note", ""))))
    return replace(found, **told)


def usage_tests(
    columns: Sequence[Column],
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    tests: Sequence[str] | None = None,
    decision: str = "min-p",
    permutations: int = 999,
    early_stopping: int | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[UsageResult]:
    """Test several features; those known for the same images share permutations and products.

    Args:
        columns: the features, of n images each.
        prediction, label, groups: (n,), see `usage_test`.
        tests, decision, permutations, early_stopping, bootstrap, seed: see `usage_test`.

    Returns:
        One result per column, in order.

    Raises:
        UsageError: a test or decision is unknown, or early stopping asked for with several tests.
        ValueError: lengths differ.
    """
    battery = _Battery.of(tests, decision, early_stopping)
    scores = scores_of(prediction)
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
        sample = UsageSample.of(rows, scores, label_code, names, group, permutations, seed)
        found = battery.test(sample, [columns[i] for i in mine], bootstrap, seed)
        results |= dict(zip(mine, found, strict=True))
    return [results[i] for i in range(len(columns))]


@dataclass(frozen=True)
class _Battery:
    """The statistics that are asked for, and how they decide."""

    measures: tuple[Statistic, ...]
    decision: str
    early_stopping: int | None

    @classmethod
    def of(cls, tests: Sequence[str] | None, decision: str, early: int | None) -> _Battery:
        names = find_decision(decision).tests if tests is None else tests
        if early is not None and (early < 1 or len(names) != 1):
            raise UsageError(
                "Expected early stopping after at least 1 exceedance and for one test, but got "
                f"{early} for {', '.join(names)}; the least of several p-values needs every "
                'permutation: name one, such as tests=("rank",)'
            )
        return cls(tuple(find_statistic(name) for name in names), decision, early)

    def test(
        self, sample: UsageSample, columns: Sequence[Column], bootstrap: int, seed: int
    ) -> list[UsageResult]:
        """Test features known for all these images."""
        if not len(sample.rows):
            why = "no group can take the place of another"
            return [self._nothing(sample, column, why) for column in columns]
        find = self._all if self.early_stopping is None else self._early
        outcomes = find(sample, columns)
        varying = [i for i, outcome in enumerate(outcomes) if outcome]
        effects = sample.effects([columns[i] for i in varying], bootstrap, seed) if varying else []
        effect = dict(zip(varying, effects, strict=True))
        return [
            UsageResult(**self._facts(sample, column), **outcome, **effect[i])
            if outcome
            else self._nothing(sample, column, "constant within every label")
            for i, (column, outcome) in enumerate(zip(columns, outcomes, strict=True))
        ]

    def _all(self, sample: UsageSample, columns: Sequence[Column]) -> list[dict[str, Any]]:
        """Return statistic and p-values of each feature; nothing for one that never varies."""
        combine = find_decision(self.decision).combine
        values = sample.permuted(self.measures, columns)
        found: list[dict[str, Any]] = []
        for i in range(len(columns)):
            if np.isnan(values[:, i]).any():
                found.append({})
                continue
            each, every = permuted_p(values[:, i])[0], combine(values[:, i])
            several = len(self.measures) > 1
            found.append(
                {
                    "statistic": float(each.min() if several else np.sqrt(values[0, i, 0])),
                    "p_value": float(every[0]),
                    "p_by_test": self._named(each),
                    "p_permuted": every,
                }
            )
        return found

    def _early(self, sample: UsageSample, columns: Sequence[Column]) -> list[dict[str, Any]]:
        assert self.early_stopping is not None
        seen, p = sample.sequential(self.measures[0], columns, self.early_stopping)
        return [
            {}
            if np.isnan(value)
            else {
                "statistic": float(np.sqrt(value)),
                "p_value": float(mine),
                "p_by_test": self._named([mine]),
            }
            for value, mine in zip(seen, p, strict=True)
        ]

    def _named(self, values: Sequence[float] | Floats) -> dict[str, float]:
        return {m.name: float(p) for m, p in zip(self.measures, values, strict=True)}

    def _facts(self, sample: UsageSample, column: Column) -> dict[str, Any]:
        name = self.measures[0].name if len(self.measures) == 1 else self.decision
        return {
            "feature": column.feature,
            "kind": column.kind,
            "test": f"{name}({column.aspect})",
            "n": len(sample.rows),
            "groups": sample.groups,
            "strata_dropped": sample.dropped,
            "smallest_p": sample.smallest_p,
        }

    def _nothing(self, sample: UsageSample, column: Column, note: str) -> UsageResult:
        return UsageResult(**self._facts(sample, column), **_NO_NUMBERS, note=note)


_NO_NUMBERS: dict[str, Any] = dict.fromkeys(
    (
        "statistic",
        "p_value",
        "effect_bits",
        "effect_low",
        "effect_high",
        "rank_effect",
        "rank_effect_error",
        "variance_share",
        "variance_low",
        "variance_high",
    ),
    float("nan"),
)


def _columns_of(given: Given) -> list[Column]:
    """Return the features that are held fixed, as columns."""
    if isinstance(given, Mapping):
        given = pd.DataFrame(given)
    if isinstance(given, pd.DataFrame):
        return [as_column(given[name], str(name)) for name in given]
    if isinstance(given, Sequence) and all(isinstance(one, Column) for one in given):
        return list(given)
    values = np.asarray(given)
    return [as_column(one) for one in (values.T if values.ndim == 2 else [values])]


def scores_of(prediction: ArrayLike) -> Floats:
    """Return predictions as (n, q); of two probabilities one says all.

    Args:
        prediction: (n,) or (n, classes).

    Raises:
        ValueError: it has another shape.
    """
    scores = np.asarray(prediction, dtype=np.float64)
    if scores.ndim == 1:
        return scores[:, None]
    if scores.ndim != 2:
        raise ValueError(f"Expected predictions (n,) or (n, classes), but got shape {scores.shape}")
    return scores[:, 1:] if scores.shape[1] == 2 else scores
