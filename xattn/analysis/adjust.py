"""p-values of permutation tests, and their adjustment over a table."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def upper_p(statistics: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (number of rows with a statistic at least the first row's) / (number of rows).

    Args:
        statistics: (1 + P, ...), the observed ones first, those under permutation after.

    Sums of the same terms in another order differ in their last digits; such ties are counted as
    ties, which keeps the test exact and a statistic that cannot vary at p = 1.
    """
    values = np.asarray(statistics, dtype=np.float64)
    slack = 1e-9 * np.abs(values).max(axis=0)
    p = (values >= values[0] - slack).mean(axis=0)
    return np.where(np.isnan(values).any(axis=0), np.nan, p)


def two_sided_p(statistics: NDArray[np.floating]) -> NDArray[np.float64]:
    """As `upper_p`, for the distance of each statistic from the mean of all rows.

    The mean includes the observed statistic: all rows are then treated alike, so the test stays
    exact, and its smallest p-value is 1 / (1 + P) and not twice that.
    """
    values = np.asarray(statistics, dtype=np.float64)
    slack = 1e-9 * np.abs(values).max(axis=0)
    distance = np.abs(values - values.mean(axis=0))
    p = (distance >= distance[0] - slack).mean(axis=0)
    return np.where(np.isnan(values).any(axis=0), np.nan, p)


def minimum_p(values: NDArray[np.float64]) -> tuple[list[float], float]:
    """Return each statistic's p-value, and the exact p-value of the least of them.

    Every permutation is treated as the observation would be: it gets a p-value for each statistic
    among all rows, and the least of those; the observed least is ranked among these. The
    statistics may depend on each other in any way.

    Args:
        values: (1 + P, statistics), the observed ones first; large means dependent.
    """
    from scipy.stats import rankdata

    each = upper_p(values)
    if values.shape[1] == 1:
        return [float(each[0])], float(each[0])
    rounded = np.round(values / np.abs(values).max(axis=0), 9)  # ties are ties, see `upper_p`
    ranked = rankdata(-rounded, method="max", axis=0) / len(values)
    return [float(p) for p in each], float(upper_p(-ranked.min(axis=1)))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values over all that are not NaN (Holm 1979); NaN stays NaN."""
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        adjusted[tested] = multipletests(p[tested], method="holm")[1]
    return adjusted


def enough_permutations(asked: int, tests: int, alpha: float) -> int:
    """Return `asked`, or as many permutations as a table of `tests` p-values needs if that is more.

    With P permutations the least p-value is 1 / (1 + P); times the number of tests it is kept to
    alpha / 4, or Holm's adjustment could find nothing, however strong the effect.
    """
    return max(asked, math.ceil(4 * tests / alpha) - 1)
