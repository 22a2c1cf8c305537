import numpy as np
import pytest

from xattn.analysis.dependence.given.effect import partial_correlation
from xattn.analysis.dependence.given.statistics import Flips

N = 500
FLIPS = Flips.of(np.arange(N), np.arange(N) % 5, 1, 0)


def measured(score, feature, bootstrap=499, smallest=0.15):
    return partial_correlation(score, feature, FLIPS, bootstrap, smallest, 0)


def test_of_one_number_and_one_score_it_is_their_correlation():
    rng = np.random.default_rng(3)
    feature = rng.normal(size=(N, 1))
    score = 0.5 * feature + rng.normal(size=(N, 1))
    found = measured(score, feature)
    expected = np.corrcoef(score[:, 0], feature[:, 0])[0, 1]
    assert found.effect == pytest.approx(expected, abs=0.01)
    assert found.low < expected < found.high
    assert measured(score, -feature).effect == pytest.approx(-found.effect)
    assert found.p_equivalent > 0.9


@pytest.mark.parametrize("columns", [1, 5])
def test_the_interval_covers_nothing_where_nothing_is_and_the_effect_is_shown_to_be_small(columns):
    covered, small = [], []
    for seed in range(40):
        rng = np.random.default_rng([seed, 4])
        found = measured(rng.normal(size=(N, 1)), rng.normal(size=(N, columns)), 199)
        covered.append(found.low <= 0 <= found.high or (columns > 1 and found.low < 0.05))
        small.append(found.p_equivalent < 0.05)
    assert np.mean(covered) >= 0.85
    assert np.mean(small) >= 0.5


def test_an_effect_on_the_margin_is_seldom_called_small():
    small = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 5])
        feature = rng.normal(size=(N, 1))
        score = 0.15 / np.sqrt(1 - 0.15**2) * feature + rng.normal(size=(N, 1))
        small.append(measured(score, feature, 199).p_equivalent < 0.05)
    assert np.mean(small) <= 0.15


def test_several_columns_are_freed_of_their_excess_by_chance():
    effects = []
    for seed in range(30):
        rng = np.random.default_rng([seed, 6])
        effects.append(measured(rng.normal(size=(N, 2)), rng.normal(size=(N, 8)), 0).effect ** 2)
    assert np.mean(effects) < 8 / N


def test_where_nothing_is_left_of_a_feature_there_is_no_number():
    found = measured(np.ones((N, 1)), np.zeros((N, 1)))
    assert np.isnan([found.effect, found.low, found.p_equivalent]).all()
