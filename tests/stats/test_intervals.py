import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from xattn.stats.intervals import mean_of_rates, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (519, 2594)])
def test_wilson_agrees_with_statsmodels(hits, n):
    low, high = proportion_confint(hits, n, method="wilson")
    rate = wilson(hits, n)
    assert rate.value == hits / n
    assert (rate.low, rate.high) == pytest.approx((low, high))


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
