import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from xattn.analysis.interventions.outcome import Scores, mcnemar_p, sign_flip_p

RNG = np.random.default_rng(0)


def test_the_sign_flip_test_is_fishers():
    x = RNG.normal(0.3, 1, 12)
    exact = permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = sign_flip_p(x, np.arange(12), 20_000)
    assert found == pytest.approx(exact.pvalue, abs=0.015)


def test_the_sign_flip_test_keeps_its_level_with_groups_alike():
    group = np.arange(60) // 3
    p = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 3])
        x = rng.standard_t(3, 20)[group] + 0.1 * rng.normal(size=60)
        p.append([sign_flip_p(x, group, 199, seed), sign_flip_p(x, np.arange(60), 199, seed)])
    rejected = (np.array(p) <= 0.05).mean(axis=0)
    assert 0.02 <= rejected[0] <= 0.085  # the 99 % band of 400 repetitions
    assert rejected[1] > 0.15  # what forgetting the groups would give


def test_nothing_changed_is_no_finding():
    assert sign_flip_p(np.zeros(9), np.arange(9)) == 1
    assert np.isnan(sign_flip_p(np.ones(3), np.zeros(3, int)))
    assert np.isnan(sign_flip_p(np.empty(0), np.empty(0, int)))


def test_mcnemar_is_the_binomial_test_of_what_differs():
    first = np.array([True] * 9 + [False] * 3)
    second = np.array([True] * 2 + [False] * 9 + [True])
    assert mcnemar_p(first, second) == pytest.approx(binomtest(1, 8).pvalue)
    assert np.isnan(mcnemar_p(first[:0], first[:0]))


def test_a_row_tells_the_change_beyond_the_control():
    n = 200
    before = RNG.normal(size=n)
    after, control = before + 1 + RNG.normal(0, 0.2, n), before + 0.2 + RNG.normal(0, 0.2, n)
    control[:20] = np.nan
    borrowed = np.arange(n) % 2 == 1
    compared = np.where(borrowed, before + 5, before)
    control = np.where(borrowed, control + 5, control)
    scores = Scores(
        before=before,
        after=after,
        control=control,
        compared=compared,
        flipped=after * before < 0,
        control_flipped=control * compared < 0,
        borrowed=borrowed,
        groups=np.arange(n) // 2,
    )
    row = scores.to_row(999, 500, 0)
    assert (row["n"], row["n_control"], row["n_borrowed"], row["groups"]) == (200, 180, 90, 100)
    assert row["delta_low"] < 1 < row["delta_high"]
    assert row["excess_low"] < 0.8 < row["excess_high"]
    assert row["excess_logit"] == pytest.approx((after - before - control + compared)[20:].mean())
    assert row["flip_rate"] == pytest.approx((after * before < 0).mean())
    assert row["p_value"] == 0.001


def test_a_row_of_nothing_has_no_numbers():
    none = np.empty(0)
    empty = none > 0
    row = Scores(none, none, none, none, empty, empty, empty, none).to_row(99, 99, 0)
    assert row["n"] == 0
    assert np.isnan([row["delta_logit"], row["p_value"], row["excess_low"]]).all()
