import numpy as np
import pytest

from xattn.analysis.dependence.variance import explained_variance
from xattn.stats.resampling import drawn_weights

LABEL = np.repeat([0, 1], [300, 100])


def slow_epsilon_squared(feature, y, label):
    """The analysis of variance, written out."""
    between = within = 0.0
    cells = 0
    for one in np.unique(label):
        own = y[label == one]
        for kind in np.unique(feature[label == one]):
            some = y[(label == one) & (feature == kind)]
            between += len(some) * (some.mean() - own.mean()) ** 2
            within += ((some - some.mean()) ** 2).sum()
            cells += 1
    total = between + within
    n, labels = len(y), len(np.unique(label))
    return 1 - (within / (n - cells)) / (total / (n - labels))


def test_the_fraction_is_the_epsilon_squared_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    feature = rng.integers(0, 4, 400)
    y = rng.normal(size=400) + 0.5 * feature + 3 * LABEL
    found = explained_variance([feature], y, LABEL, None)
    assert found.fraction[0] == pytest.approx(slow_epsilon_squared(feature, y, LABEL))
    assert np.isnan(found.low[0])


def test_a_feature_that_settles_the_prediction_explains_all_and_one_that_does_not_nothing():
    rng = np.random.default_rng(1)
    feature = rng.integers(0, 2, 400)
    assert explained_variance([feature], feature + 5.0 * LABEL, LABEL, None).fraction[
        0
    ] == pytest.approx(1)
    noise = [
        explained_variance([rng.integers(0, 5, 400)], rng.normal(size=400), LABEL, None).fraction[0]
        for _ in range(300)
    ]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(300)
    assert np.isnan(explained_variance([feature], 5.0 * LABEL, LABEL, None).fraction[0])


def test_the_interval_covers():
    """Truth: a yes/no feature that shifts a unit normal by 1 explains (1/4) / (1/4 + 1)."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 2])
        feature = rng.integers(0, 2, 200)[np.arange(400) // 2]
        y = (rng.normal(size=200)[np.arange(400) // 2] + rng.normal(size=400)) / np.sqrt(2)
        weights = drawn_weights(np.arange(400) // 2, 400, 199, seed)
        found = explained_variance([feature], y + feature, LABEL, weights)
        held += found.low[0] <= 0.2 <= found.high[0]
    assert held / 200 > 0.89
