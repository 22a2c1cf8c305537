import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from xattn.stats.two_samples import (
    Spread,
    belief,
    hedges_g,
    noncentral_t,
    welch,
    wilcoxon,
)


def draw(n, m, seed=0, shift=0.03):
    rng = np.random.default_rng(seed)
    return rng.normal(0.8 + shift, 0.02, n), rng.normal(0.8, 0.01, m)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 3), (10, 4)])
def test_welch_equals_scipys(n, m):
    a, b = draw(n, m)
    expected = stats.ttest_ind(a, b, equal_var=False)
    got = welch(a, b)
    assert (got.statistic, got.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    interval = expected.confidence_interval()
    assert (got.low, got.high) == pytest.approx((interval.low, interval.high))
    assert got.n == n + m


def test_exchanging_the_models_turns_every_sign():
    a, b = draw(5, 4)
    one, other = welch(a, b), welch(b, a)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert (one.effect, one.effect_low) == pytest.approx((-other.effect, -other.effect_high))


def test_one_seed_gives_a_difference_and_nothing_else():
    got = welch(np.array([0.8]), np.array([0.7, 0.75]))
    assert got.difference == pytest.approx(0.075)
    assert np.isnan([got.low, got.p_value, got.effect]).all()


def test_seeds_without_spread_are_not_tested():
    got = welch(np.full(3, 0.8), np.full(3, 0.7))
    assert np.isnan(got.p_value)
    assert belief(np.full(3, 0.8), np.full(3, 0.7), 0.01) is None


def test_hedges_g_is_cohens_d_made_smaller():
    a, b = draw(6, 6)
    pooled = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    g, low, high = hedges_g(a, b)
    assert g == pytest.approx((a.mean() - b.mean()) / pooled * (1 - 3 / (4 * 10 - 1)), rel=2e-3)
    assert low < g < high


@pytest.mark.slow
def test_the_interval_of_hedges_g_covers():
    rng = np.random.default_rng(1)
    truth = 1.5
    found = [hedges_g(rng.normal(truth, 1, 5), rng.normal(0, 1, 5)) for _ in range(300)]
    covered = np.mean([low <= truth <= high for _, low, high in found])
    assert covered == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("df", [1, 2, 4, 8.3, 40])
@pytest.mark.parametrize("shift", [-4.0, 0.0, 0.5, 3.0, 8.0])
def test_the_noncentral_t_equals_scipys_where_that_is_a_number(df, shift):
    t = np.array([-3, -0.1, 0.5, 2, 5, 9.6])
    expected = stats.nct.cdf(t, df, shift)
    there = ~np.isnan(expected)
    assert there.any()
    assert noncentral_t(t, df, shift)[there] == pytest.approx(expected[there], abs=3e-6)


@pytest.mark.parametrize("seeds", [3, 5, 10, 30])
def test_the_smallest_difference_equals_that_of_statsmodels(seeds):
    got = Spread((2 / seeds) ** 0.5, 2 * seeds - 2).smallest(0.05)
    expected = TTestIndPower().solve_power(nobs1=seeds, alpha=0.05, power=0.8)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("seeds", "alpha"), [(2, 0.05), (3, 0.005), (5, 0.0005)])
def test_the_smallest_difference_is_found_with_the_stated_power(seeds, alpha):
    """Where statsmodels gives a wrong root or none: 400,000 made-up experiments."""
    least = Spread((2 / seeds) ** 0.5, 2 * seeds - 2).smallest(alpha)
    rng = np.random.default_rng(0)
    a, b = rng.normal(least, 1, (400_000, seeds)), rng.normal(0, 1, (400_000, seeds))
    found = stats.ttest_ind(a, b, axis=1).pvalue < alpha
    assert found.mean() == pytest.approx(0.8, abs=0.003)


def test_more_seeds_show_smaller_differences():
    least = [Spread((2 / n) ** 0.5, 2 * n - 2).smallest(0.05) for n in range(2, 12)]
    assert (np.diff(least) < 0).all()


@pytest.mark.parametrize("n", [4, 6, 9])
def test_wilcoxon_equals_the_fraction_of_all_signs(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.01, 0.02, n), np.zeros(n)
    ranks = stats.rankdata(np.abs(a))
    observed = abs((ranks * np.sign(a)).sum())
    sums = [abs(np.dot(ranks, signs)) for signs in itertools.product([-1, 1], repeat=n)]
    got = wilcoxon(a, b)
    assert got.p_value == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9))
    assert got.effect == pytest.approx((ranks * np.sign(a)).sum() / ranks.sum())


def test_the_interval_of_wilcoxon_is_where_the_test_does_not_reject():
    rng = np.random.default_rng(2)
    each = rng.normal(0.02, 0.02, 9)
    got = wilcoxon(each, np.zeros(9))
    inside, outside = 0.999 * got.low + 0.001 * got.high, got.low - 1e-6
    assert wilcoxon(each, np.full(9, inside)).p_value >= 0.05
    assert wilcoxon(each, np.full(9, outside)).p_value < 0.05


def test_wilcoxon_of_pairs_that_are_all_alike_finds_nothing():
    assert wilcoxon(np.full(6, 0.8), np.full(6, 0.8)).p_value == 1.0


def test_wilcoxon_of_ties_and_zeros_is_a_p_value():
    a = np.array([0.81, 0.81, 0.80, 0.83, 0.79, 0.84, 0.81])
    got = wilcoxon(a, np.full(7, 0.8))
    assert 0 < got.p_value <= 1


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (8, 8)])
def test_the_posterior_equals_a_sample_of_it(n, m):
    a, b = draw(n, m, seed=3, shift=0.01)
    rng = np.random.default_rng(0)
    drawn = a.mean() + stats.sem(a) * rng.standard_t(n - 1, 400_000)
    drawn -= b.mean() + stats.sem(b) * rng.standard_t(m - 1, 400_000)
    got = belief(a, b, 0.01)
    fractions = [(drawn > 0.01).mean(), (abs(drawn) <= 0.01).mean(), (drawn < -0.01).mean()]
    assert [got.above, got.within, got.below] == pytest.approx(fractions, abs=4e-3)
    assert got.above + got.within + got.below == pytest.approx(1)
    width = got.high - got.low
    assert [got.low, got.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=width / 40)


def test_without_a_region_nothing_is_equivalent():
    a, b = draw(5, 5)
    assert belief(a, b, 0.0).within == 0
