"""Closed-form intervals of fractions of images, each image counted as independent.

For images that come in groups, and wherever a table of the analysis has the number, the interval
is that of a bootstrap over groups (`resampling`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    fraction = hits / n
    middle = (fraction + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    spread = math.sqrt(fraction * (1 - fraction) / n + Z_95**2 / (4 * n**2))
    half = Z_95 / (1 + Z_95**2 / n) * spread
    return Rate(fraction, max(0.0, middle - half), min(1.0, middle + half), n)


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
