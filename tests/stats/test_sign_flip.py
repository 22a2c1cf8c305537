import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from xattn.stats.sign_flip import exact_sign_flip_p, sampled_sign_flip_p


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=10))
def test_the_fraction_of_sign_patterns_is_that_of_counting_them(scores):
    sums = [abs(np.dot(scores, signs)) for signs in itertools.product([-1, 1], repeat=len(scores))]
    expected = np.mean(np.array(sums) >= abs(sum(scores)))
    assert exact_sign_flip_p(np.array(scores)) == pytest.approx(expected, abs=1e-11)


def test_the_sign_flip_test_is_fishers():
    x = np.random.default_rng(0).normal(0.3, 1, 12)
    exact = permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = sampled_sign_flip_p(x, np.arange(12), 20_000)
    assert found == pytest.approx(exact.pvalue, abs=0.015)


def test_the_sign_flip_test_keeps_its_level_with_groups_alike():
    group = np.arange(60) // 3
    p = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 3])
        x = rng.standard_t(3, 20)[group] + 0.1 * rng.normal(size=60)
        p.append(
            [
                sampled_sign_flip_p(x, group, 199, seed),
                sampled_sign_flip_p(x, np.arange(60), 199, seed),
            ]
        )
    rejected = (np.array(p) <= 0.05).mean(axis=0)
    assert 0.02 <= rejected[0] <= 0.085  # the 99 % band of 400 repetitions
    assert rejected[1] > 0.15  # what forgetting the groups would give


def test_nothing_changed_is_no_finding():
    assert sampled_sign_flip_p(np.zeros(9), np.arange(9)) == 1
    assert np.isnan(sampled_sign_flip_p(np.ones(3), np.zeros(3, int)))
    assert np.isnan(sampled_sign_flip_p(np.empty(0), np.empty(0, int)))
