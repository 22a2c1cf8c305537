"""Tests over seeds: would the architecture be better again, if it were trained again?

Each value is one trained network's metric on the same test images. The seeds of one model are
independent draws; those of two models are too, unless the same seed makes them start alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy import stats
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr

from xattn.stats.arrays import Floats

NAN = float("nan")
POWER = 0.8

_NODES, _WEIGHTS = (0.5 * part for part in leggauss(200))
_NODES = _NODES + 0.5
"""Nodes and weights of an integral over (0, 1), the quantile level of a distribution."""


@dataclass(frozen=True)
class DifferenceTest:
    """What one test says of a difference a - b.

    Attributes:
        difference, low, high: the difference and its interval.
        statistic, p_value: two-sided; NaN where nothing can be tested.
        n: what was counted: seeds, pairs of seeds, or images.
        effect, effect_low, effect_high: an effect size and its interval, see the test.
    """

    difference: float
    low: float = NAN
    high: float = NAN
    statistic: float = NAN
    p_value: float = NAN
    n: int = 0
    effect: float = NAN
    effect_low: float = NAN
    effect_high: float = NAN


@dataclass(frozen=True)
class Spread:
    """The standard error of a difference of two means, and its degrees of freedom.

    Attributes:
        error: sqrt(s_a^2 / n_a + s_b^2 / n_b).
        df: those of Welch and Satterthwaite.
    """

    error: float
    df: float

    @classmethod
    def of(cls, a: Floats, b: Floats) -> Spread:
        """Take it from the values of two models, at least two each.

        Args:
            a, b: the metric of each seed.
        """
        parts = np.array([_variance(a) / len(a), _variance(b) / len(b)])
        total = float(parts.sum())
        if total == 0:
            return cls(0.0, float(len(a) + len(b) - 2))
        return cls(total**0.5, total**2 / float((parts**2 / [len(a) - 1, len(b) - 1]).sum()))

    def smallest(self, alpha: float, power: float = POWER) -> float:
        """Return the difference that a two-sided Welch test finds with this power.

        Solves P(|T| > t_crit) = power for the noncentrality of Student's t (the spread taken as
        if it were known exactly). 0 if there is no spread.

        Args:
            alpha: level of the test.
            power: probability of finding the difference.
        """
        if self.error == 0:
            return 0.0
        critical = float(stats.t.isf(alpha / 2, self.df))

        def missed(shift: float) -> float:
            here = noncentral_t(np.array([-critical, critical]), self.df, shift)
            return float(here[1] - here[0]) - (1 - power)

        reach = critical + 1
        while missed(reach) > 0:
            reach *= 1.5
        return self.error * float(brentq(missed, 0.0, reach))


def _variance(values: Floats) -> float:
    """Return the variance, 0 where values differ by no more than rounding."""
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return 0.0
    return float(np.var(values, ddof=1))


def welch(a: Floats, b: Floats, level: float = 0.95) -> DifferenceTest:
    """Return Welch's t test (1947) of the means, which needs no equal spread.

    The effect is Hedges' g (1981), the difference in pooled standard deviations, corrected for
    small samples; its interval inverts the noncentral t. With fewer than two values on a side, or
    without any spread, nothing is tested.

    Args:
        a, b: the metric of each seed.
        level: of the intervals.

    Returns:
        The test, difference in units of the metric.

    Source: Welch, Biometrika 1947.
    """
    n, difference = len(a) + len(b), float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return DifferenceTest(difference, n=n)
    spread = Spread.of(a, b)
    if spread.error == 0:
        return DifferenceTest(difference, difference, difference, n=n)
    t = difference / spread.error
    half = float(stats.t.isf((1 - level) / 2, spread.df)) * spread.error
    p = 2 * float(stats.t.sf(abs(t), spread.df))
    return DifferenceTest(
        difference, difference - half, difference + half, t, p, n, *hedges_g(a, b, level)
    )


def hedges_g(a: Floats, b: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """Return Hedges' g and its interval; NaN where there is no spread.

    Args:
        a, b: the metric of each seed, at least two each.
        level: of the interval.

    Source: Hedges, Journal of Educational Statistics 1981.
    """
    df = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * _variance(a) + (len(b) - 1) * _variance(b)) / df
    if pooled <= 0:
        return NAN, NAN, NAN
    scale = (1 / len(a) + 1 / len(b)) ** 0.5
    t = float(np.mean(a) - np.mean(b)) / (pooled**0.5 * scale)
    correction = float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2))) / (df / 2) ** 0.5
    tail = (1 - level) / 2
    low, high = (_noncentrality(t, df, fraction) for fraction in (1 - tail, tail))
    g, low, high = (float(correction * scale * value) for value in (t, low, high))
    return g, low, high


def _noncentrality(t: float, df: int, fraction: float) -> float:
    """Return the noncentrality under which a fraction of all t lies below this one."""
    reach = 2 * abs(t) + 20
    at = np.array([t])
    return float(brentq(lambda d: noncentral_t(at, df, d)[0] - fraction, -reach, reach))


def noncentral_t(t: Floats, df: float, shift: float) -> Floats:
    """Return the distribution function of Student's noncentral t at t (k,).

    The mean over the chi distribution of the normal one; scipy's own is NaN at many places.

    Args:
        t: (k,).
        df: degrees of freedom.
        shift: noncentrality.
    """
    fraction: Floats = ndtr(t[:, None] * _spread(df) - shift) @ _WEIGHTS
    return fraction


@lru_cache(maxsize=256)
def _spread(df: float) -> Floats:
    """Return chi / sqrt(df) at the nodes."""
    values: Floats = np.sqrt(stats.chi2.ppf(_NODES, df) / df)
    return values


def wilcoxon(a: Floats, b: Floats, level: float = 0.95) -> DifferenceTest:
    """Return Wilcoxon's signed rank test (1945) of pairs, exact without ties or zeros.

    The difference is the median of the pairs' averages (Hodges and Lehmann 1963), its interval
    that of the test; five pairs are too few for an interval of 95 %, and for p < 0.05. The effect
    is the matched rank-biserial correlation, in [-1, 1].

    Args:
        a, b: (n,) the metric of the same seeds.
        level: of the interval.

    Returns:
        The test, difference in units of the metric.

    Source: Wilcoxon, Biometrics Bulletin 1945; Hodges and Lehmann 1963.
    """
    n = len(a)
    each = np.asarray(a, float) - np.asarray(b, float)
    i, j = np.triu_indices(n)
    walsh = np.sort((each[i] + each[j]) / 2)
    if n < 2:
        return DifferenceTest(float(np.median(walsh)) if n else NAN, n=n)
    low, high = _walsh_interval(walsh, n, level)
    moved = each[each != 0]
    if not len(moved):
        return DifferenceTest(0.0, low, high, 0.0, 1.0, n, 0.0)
    tied = len(np.unique(np.abs(moved))) < len(moved)
    result = stats.wilcoxon(moved, method="asymptotic" if tied and n > 25 else _method(tied, n))
    ranks = stats.rankdata(np.abs(moved))
    effect = float((ranks * np.sign(moved)).sum() / ranks.sum())
    middle = float(np.median(walsh))
    return DifferenceTest(
        middle, low, high, float(result.statistic), float(result.pvalue), n, effect
    )


def _method(tied: bool, n: int) -> str | stats.PermutationMethod:
    if tied:  # all 2^n signs while that is few, else a sample of them
        return stats.PermutationMethod(n_resamples=2**13, rng=np.random.default_rng(0))
    return "exact" if n <= 50 else "asymptotic"


def _walsh_interval(walsh: Floats, n: int, level: float) -> tuple[float, float]:
    """Return the averages between which the signed rank test does not reject."""
    counts = np.array([1.0])
    for rank in range(1, n + 1):  # how many sign patterns give each sum of ranks
        grown = np.zeros(len(counts) + rank)
        grown[: len(counts)] += counts
        grown[rank:] += counts
        counts = grown
    below = np.cumsum(counts) / 2.0**n
    cut = int(np.searchsorted(below, (1 - level) / 2, side="right"))
    return (NAN, NAN) if cut == 0 else (float(walsh[cut - 1]), float(walsh[-cut]))


@dataclass(frozen=True)
class Belief:
    """Posterior of the difference of two models' means.

    Attributes:
        low, high: 95 % credible interval.
        above, within, below: probability of a difference > rope, in [-rope, rope], < -rope.
    """

    low: float
    high: float
    above: float
    within: float
    below: float


def belief(a: Floats, b: Floats, rope: float, level: float = 0.95) -> Belief | None:
    """Return what the seeds let one believe of the difference of the means.

    Each model's values are normal with mean and variance unknown, prior p(mean, log sd) constant:
    each mean is then distributed as Student's t around the sample's (Box and Tiao 1973, 2.5), and
    the difference as Behrens and Fisher's, here by integration, not by sampling.

    Returns:
        None with fewer than two values on a side, or where one has no spread.

    Args:
        a, b: the metric of each seed.
        rope: half-width of the region of practical equivalence.
        level: of the credible interval.

    Source: Box and Tiao 1973, 2.5.
    """
    if min(len(a), len(b)) < 2 or not _variance(a) or not _variance(b):
        return None
    parts = [(float(np.mean(x)), float(stats.sem(x)), len(x) - 1) for x in (a, b)]
    (mean_a, error_a, df_a), (mean_b, error_b, df_b) = parts
    mean = mean_a + error_a * stats.t.ppf(_NODES, df_a)

    def fraction_below(limit: float) -> float:
        return float(stats.t.sf((mean - limit - mean_b) / error_b, df_b) @ _WEIGHTS)

    middle, reach = mean_a - mean_b, error_a + error_b
    tail = (1 - level) / 2
    low, high = (_solve(fraction_below, fraction, middle, reach) for fraction in (tail, 1 - tail))
    below, not_above = fraction_below(-rope), fraction_below(rope)
    return Belief(low, high, 1 - not_above, not_above - below, below)


def _solve(
    fraction_below: Callable[[float], float], fraction: float, middle: float, reach: float
) -> float:
    step = 4 * reach
    while not fraction_below(middle - step) < fraction < fraction_below(middle + step):
        step *= 4
    return float(brentq(lambda x: fraction_below(x) - fraction, middle - step, middle + step))
