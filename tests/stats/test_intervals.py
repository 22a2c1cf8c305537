import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from xattn.stats.intervals import clustered_rate, mean_of_rates, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (519, 2594)])
def test_wilson_agrees_with_statsmodels(hits, n):
    low, high = proportion_confint(hits, n, method="wilson")
    rate = wilson(hits, n)
    assert rate.value == hits / n
    assert (rate.low, rate.high) == pytest.approx((low, high))
    assert rate.low <= rate.value <= rate.high


def test_the_mean_of_rates_is_within_0_and_1_and_counts_all_images():
    rate = mean_of_rates([wilson(10, 10), wilson(0, 4)])
    assert (rate.value, rate.n) == (0.5, 14)
    assert 0 <= rate.low < 0.5 < rate.high <= 1
    assert mean_of_rates([wilson(3, 9)]) == wilson(3, 9)


@pytest.mark.slow
def test_the_interval_covers_the_truth_in_about_95_of_100_samples():
    rng, recalls, sizes, repeats = np.random.default_rng(0), (0.95, 0.7), (300, 40), 400
    covered = 0
    for _ in range(repeats):
        hits = [int(rng.binomial(n, p)) for n, p in zip(sizes, recalls, strict=True)]
        rate = mean_of_rates([wilson(h, n) for h, n in zip(hits, sizes, strict=True)])
        covered += rate.low <= np.mean(recalls) <= rate.high
    # Binomial(400, 0.95): 4.5 standard deviations to either side.
    assert abs(covered / repeats - 0.95) < 0.05


def test_rows_that_stand_alone_have_wilsons_interval():
    hits = np.array([True] * 7 + [False] * 33)
    rate, same = clustered_rate(hits, np.arange(40)), wilson(7, 40)
    assert (rate.value, rate.n) == (same.value, 40)
    # The variance between clusters is estimated with 39 degrees of freedom.
    assert (rate.low, rate.high) == pytest.approx((same.low, same.high), abs=0.005)


def test_rows_that_agree_within_clusters_count_for_fewer():
    hits = np.repeat([True, False, True, True, False, True, False, True], 10)
    alone = wilson(50, 80)
    rate = clustered_rate(hits, np.repeat(np.arange(8), 10))
    as_many = wilson(5, 8)
    assert rate.high - rate.low > 2 * (alone.high - alone.low)
    assert (rate.low, rate.high) == pytest.approx((as_many.low, as_many.high), abs=0.05)


def test_where_all_rows_are_hits_the_units_are_counted():
    hits, worlds, networks = np.ones(24, bool), np.repeat([0, 1], 12), np.repeat(np.arange(8), 3)
    assert clustered_rate(hits, worlds, networks).low == pytest.approx(wilson(8, 8).low)
    assert clustered_rate(hits, worlds).low == pytest.approx(wilson(24, 24).low)
