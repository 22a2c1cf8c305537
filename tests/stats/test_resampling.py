import numpy as np
import pytest

from xattn.stats.resampling import group_weights, percentile_interval


def test_each_replicate_draws_as_many_groups_as_there_are():
    groups = np.array(["a", "a", "b", "c", "c", "c"])
    weights = group_weights(groups, 6, 200, seed=0)
    assert weights.shape == (200, 6)
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()


def test_the_draws_are_multinomial():
    weights = group_weights(None, 10, 20_000, seed=1)
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.04)
    assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.06)


def test_same_seed_same_weights():
    assert (group_weights(None, 5, 9, 3) == group_weights(None, 5, 9, 3)).all()
    assert (group_weights(None, 5, 9, 3) != group_weights(None, 5, 9, 4)).any()


def test_no_rows_have_no_weights():
    assert group_weights(None, 0, 7, 0).shape == (7, 0)


def test_interval_is_that_of_the_replicates_that_are_numbers():
    values = np.linspace(0, 1, 1001)
    low, high = percentile_interval(values)
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))
    few, many = values.copy(), values.copy()
    few[::50], many[::10] = np.nan, np.nan
    assert np.isfinite(percentile_interval(few)).all()
    assert np.isnan(percentile_interval(many)).all()


def test_the_mean_of_grouped_data_is_covered_as_often_as_promised():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(40), 5)
    covered = 0
    for seed in range(200):
        x = np.repeat(rng.normal(size=40), 5) + 0.1 * rng.normal(size=200)
        weights = group_weights(groups, 200, 400, seed)
        low, high = percentile_interval((weights @ x) / weights.sum(axis=1))
        covered += low <= 0 <= high
    assert 0.88 < covered / 200 < 0.99  # images as units would give about .60
