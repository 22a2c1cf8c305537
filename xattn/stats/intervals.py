"""Closed-form intervals of fractions, of images or networks.

Each image is counted as independent, but in `clustered_rate`. For images that come in groups, and
wherever a table of the analysis has the number, the interval is that of a bootstrap over groups
(`resampling`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

Z_95 = float(norm.isf(0.025))
"""Quantile of the normal distribution for two-sided 95 % intervals."""


@dataclass(frozen=True)
class Rate:
    """A fraction of n images and its 95 % interval, each in [0, 1]."""

    value: float
    low: float
    high: float
    n: int


def wilson(hits: int, n: int) -> Rate:
    """Return a fraction with Wilson's 95 % score interval, which holds near 0 and 1 too.

    Args:
        hits: images counted.
        n: of so many, at least one.

    Returns:
        hits / n with its interval, within [0, 1].

    Source: Wilson, Journal of the American Statistical Association 1927.
    """
    return Rate(hits / n, *_score_interval(hits / n, n), n)


def mean_of_rates(rates: Sequence[Rate]) -> Rate:
    """Return the mean of fractions of different images, such as balanced accuracy of recalls.

    The interval recovers each fraction's variance from its limits and adds them up (method of
    variance estimates recovery), so it needs no normal approximation near 0 and 1.

    Args:
        rates: at least one, of images that do not overlap.

    Source: Zou and Donner, Statistics in Medicine 2008.
    """
    k = len(rates)
    mean = sum(r.value for r in rates) / k
    below = math.sqrt(sum((r.value - r.low) ** 2 for r in rates)) / k
    above = math.sqrt(sum((r.high - r.value) ** 2 for r in rates)) / k
    return Rate(mean, max(0.0, mean - below), min(1.0, mean + above), sum(r.n for r in rates))


def clustered_rate(
    hits: NDArray[np.bool_], clusters: ArrayLike, units: ArrayLike | None = None
) -> Rate:
    """Return a fraction of rows that come in clusters, with Wilson's interval for fewer rows.

    Rows of a cluster may agree, so that they count for fewer: n is divided by the design effect,
    how many times larger the variance between clusters makes that of the fraction (at least 1).
    Where all rows are hits or none is, nothing says how far they agree, and the units are counted.

    Args:
        hits: (n,) true or false, at least one.
        clusters: (n,) which rows belong together.
        units: (n,) the least that is independent, each within a cluster; the rows if omitted.

    Returns:
        The fraction of all n rows with its interval, within [0, 1].

    Source: Kish, Survey Sampling 1965, 8.2; Korn and Graubard, Survey Methodology 1998.
    """
    n, value = len(hits), float(np.mean(hits))
    of = np.unique(np.asarray(clusters), return_inverse=True)[1]
    groups = int(of.max()) + 1
    if 0 < value < 1 and groups > 1:
        residuals = np.bincount(of, weights=hits - value)
        between = groups / (groups - 1) * float((residuals**2).sum()) / n**2
        effective = n / max(1.0, between / (value * (1 - value) / n))
    else:
        effective = float(n if units is None else len(np.unique(np.asarray(units))))
    return Rate(value, *_score_interval(value, effective), n)


def _score_interval(fraction: float, n: float) -> tuple[float, float]:
    """Return Wilson's limits; `n` need not be a whole number."""
    middle = (fraction + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    spread = math.sqrt(fraction * (1 - fraction) / n + Z_95**2 / (4 * n**2))
    half = Z_95 / (1 + Z_95**2 / n) * spread
    # At 0 and 1 the limit is the fraction itself, but for rounding.
    return min(fraction, max(0.0, middle - half)), max(fraction, min(1.0, middle + half))
