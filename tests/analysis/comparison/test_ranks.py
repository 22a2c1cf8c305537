import itertools

import numpy as np
import pytest
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats

from xattn.analysis.comparison.ranks import rank_models


def test_the_best_model_of_every_seed_has_rank_one():
    values = np.array([[0.9, 0.7, 0.8], [0.8, 0.6, 0.7]])
    got = rank_models(values, 0.05)
    assert got.mean == pytest.approx([1, 3, 2])
    assert got.blocks == 2


def test_the_statistic_is_friedmans():
    values = np.random.default_rng(0).normal(size=(6, 4))
    expected = stats.friedmanchisquare(*values.T)
    got = rank_models(values, 0.05)
    assert got.statistic == pytest.approx(expected.statistic)
    assert got.p_value == pytest.approx(expected.pvalue, abs=0.08)


def test_the_p_value_is_the_fraction_of_all_exchanges():
    values = np.array([[0.9, 0.7, 0.8], [0.8, 0.6, 0.7], [0.8, 0.9, 0.7]])
    ranks = stats.rankdata(-values, axis=1)
    spread = lambda r: ((r.sum(axis=0) - 6) ** 2).sum()  # noqa: E731
    every = [
        spread(np.array(rows))
        for rows in itertools.product(*(list(itertools.permutations(r)) for r in ranks))
    ]
    expected = np.mean(np.array(every) >= spread(ranks) - 1e-9)
    assert rank_models(values, 0.05).p_value == pytest.approx(expected, abs=0.025)


def test_the_critical_difference_is_where_nemenyis_p_is_alpha():
    values = np.random.default_rng(1).normal(size=(8, 5)) + 0.8 * np.arange(5)
    got = rank_models(values, 0.05)
    p = posthoc_nemenyi_friedman(values).to_numpy()
    apart = np.abs(got.mean[:, None] - got.mean) > got.critical_difference
    assert apart.any()
    assert (apart == (p < 0.05)).all()


def test_models_that_are_all_alike_are_not_told_apart():
    got = rank_models(np.full((3, 3), 0.8), 0.05)
    assert (got.p_value, got.statistic) == (1.0, 0.0)
    assert got.mean == pytest.approx([2, 2, 2])
