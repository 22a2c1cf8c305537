"""p-values of permutation tests, and their adjustment over a table."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.stats.arrays import Floats


def upper_p(statistics: NDArray[np.floating]) -> Floats:
    """Return (number of rows with a statistic at least the first row's) / (number of rows).

    Args:
        statistics: (1 + P, ...), the observed ones first, those under permutation after.

    Sums of the same terms in another order differ in their last digits; such ties are counted as
    ties, which keeps the test exact and a statistic that cannot vary at p = 1.

    Returns:
        (...), each in [1 / (1 + P), 1]; NaN where a statistic is NaN.
    """
    values = np.asarray(statistics, dtype=np.float64)
    slack = 1e-9 * np.abs(values).max(axis=0)
    p = (values >= values[0] - slack).mean(axis=0)
    return np.where(np.isnan(values).any(axis=0), np.nan, p)


def two_sided_p(statistics: NDArray[np.floating]) -> Floats:
    """As `upper_p`, for the distance of each statistic from the mean of all rows.

    The mean includes the observed statistic: all rows are then treated alike, so the test stays
    exact, and its smallest p-value is 1 / (1 + P) and not twice that.

    Args:
        statistics: (1 + P, ...), the observed ones first, those under permutation after.

    Returns:
        (...), each in [1 / (1 + P), 1]; NaN where a statistic is NaN.
    """
    values = np.asarray(statistics, dtype=np.float64)
    slack = 1e-9 * np.abs(values).max(axis=0)
    distance = np.abs(values - values.mean(axis=0))
    p = (distance >= distance[0] - slack).mean(axis=0)
    return np.where(np.isnan(values).any(axis=0), np.nan, p)


def permuted_p(values: NDArray[np.floating]) -> Floats:
    """Return the p-value that each row would have, had it been the observed one: (1 + P, ...).

    Args:
        values: (1 + P, ...), the observed ones first; large means dependent.
    """
    largest = np.abs(values).max(axis=0)
    rounded = np.round(values / np.where(largest > 0, largest, 1.0), 9)  # see `upper_p` on ties
    by_column = rounded.reshape(len(values), -1).T
    fractions = [_fraction_at_least(column) for column in by_column]
    return np.stack(fractions, axis=1).reshape(values.shape)


def _fraction_at_least(values: Floats) -> Floats:
    """Return the fraction of all values (n,) that are at least as large as each."""
    if np.isnan(values).any():
        return np.full(len(values), np.nan)
    smaller = np.searchsorted(np.sort(values), values, side="left")
    return (len(values) - smaller) / len(values)


def minimum_p(values: NDArray[np.floating]) -> Floats:
    """Return the exact p-value of the least of several statistics' p-values, for each row.

    Every permutation is treated as the observation is: it gets a p-value for each statistic among
    all rows, and the least of those; these are ranked among each other. The statistics may depend
    on each other in any way.

    Args:
        values: (1 + P, statistics), the observed ones first; large means dependent.

    Returns:
        (1 + P,), the observed one first.
    """
    each = permuted_p(values)
    return each[:, 0] if values.shape[1] == 1 else permuted_p(-each.min(axis=1))


def westfall_young(p_values: NDArray[np.floating]) -> Floats:
    """Return p-values adjusted for all features at once by the permutations themselves: (m,).

    Step-down minP (Westfall and Young 1993, algorithm 2.8): the chance that the least of this and
    all larger p-values would be as small. Features that go together cost less than by Holm's
    method, which has to fear the worst; the familywise error rate is kept as exactly.

    Args:
        p_values: (1 + P, m), of every feature under every permutation, the observed ones first, as
            from `minimum_p`. NaN where a feature could not be tested; that stays NaN.
    """
    values = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values).any(axis=0))
    adjusted = np.full(values.shape[1], np.nan)
    if len(tested):
        order = tested[np.argsort(values[0, tested], kind="stable")]
        # From the largest to the smallest: the least p-value among those not yet rejected.
        least = np.minimum.accumulate(values[:, order[::-1]], axis=1)[:, ::-1]
        raw = (least <= values[0, order] * (1 + 1e-9)).mean(axis=0)
        adjusted[order] = np.maximum.accumulate(raw)
    return adjusted


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's adjusted p-values over all that are not NaN.

    Keeps the probability of a single false finding, however the tests depend on each other.

    Args:
        p_values: (m,); NaN where nothing was tested.

    Returns:
        (m,), each in [0, 1]; NaN stays NaN.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    # statsmodels' multipletests gives the same, and collects all garbage at each call: 0.26 s with
    # 40 p-values beside PyTorch, pandas and matplotlib. An analysis adjusts dozens of columns.
    return _over_tested(p_values, lambda p: np.maximum.accumulate(p * np.arange(len(p), 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for the false discovery rate.

    Keeps the expected fraction of false findings, if tests are independent or go together.

    Args:
        p_values: (m,); NaN where nothing was tested.

    Returns:
        (m,), each in [0, 1]; NaN stays NaN.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 1995.
    """

    def adjusted(p: Floats) -> Floats:
        ranks = np.arange(1, len(p) + 1) / len(p)
        return np.minimum.accumulate((p / ranks)[::-1])[::-1]

    return _over_tested(p_values, adjusted)


def _over_tested(p_values: ArrayLike, adjust: Callable[[Floats], Floats]) -> Floats:
    """Adjust what is not NaN, in ascending order, and give it back in its own."""
    p = np.asarray(p_values, dtype=np.float64)
    result = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    result[order] = np.minimum(adjust(p[order]), 1.0)
    return result


def enough_permutations(asked: int, tests: int, alpha: float) -> int:
    """Return `asked`, or as many permutations as a table of `tests` p-values needs if that is more.

    With P permutations the least p-value is 1 / (1 + P); times the number of tests it is kept to
    alpha / 4, or Holm's adjustment could find nothing, however strong the effect.

    Args:
        asked: permutations asked for.
        tests: p-values of the table.
        alpha: level after adjustment, in (0, 1).
    """
    return max(asked, math.ceil(4 * tests / alpha) - 1)
