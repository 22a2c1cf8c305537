"""Slopes and trend tests: level where nothing follows the dose, power where something does."""

import numpy as np
import pytest
from scipy.stats import binom

from xattn.analysis.interventions.doses.response import respond, slopes, trend_p

DOSES = np.array([-0.8, -0.4, 0.4, 0.8])
N, REPEATS = 30, 300


def p_values(make, seed=0, **changes):
    rng = np.random.default_rng(seed)
    settings = {"permutations": 99, "bootstrap": 9, "seed": 0} | changes
    group = np.arange(N) // 2
    return np.array([
        [(found := respond(make(rng), DOSES, group, **settings)).p_value, found.p_trend]
        for _ in range(REPEATS)
    ])  # fmt: skip


def within(rate, alpha=0.05):
    return binom.ppf(0.0005, REPEATS, alpha) <= rate * REPEATS <= binom.ppf(0.9995, REPEATS, alpha)


def test_a_slope_through_the_unedited_image_is_found_exactly():
    assert slopes(2.5 * DOSES[None], DOSES) == pytest.approx(2.5)
    assert slopes(np.abs(DOSES)[None], DOSES) == pytest.approx(0)  # traces of editing alone


def test_both_tests_keep_their_level_where_the_score_does_not_follow_the_dose():
    def noise(rng):
        full = rng.standard_normal((N, 5))
        return full[:, 1:] - full[:, :1]

    def alone(rng):  # what editing leaves behind has a size, and no direction
        return rng.standard_normal((N // 2, 1)).repeat(2, axis=0) * np.abs(DOSES)

    slope, trend = (p_values(noise) <= 0.05).mean(axis=0)
    assert within(slope)
    assert within(trend)
    assert (p_values(alone)[:, 0] <= 0.05).mean() <= 0.12


def test_slopes_of_random_sign_are_no_slope_but_they_are_a_trend_in_single_images():
    def up_or_down(rng):
        own = rng.standard_normal((N // 2, 1)).repeat(2, axis=0)
        return own * DOSES + 0.01 * rng.standard_normal((N, 4))

    slope, trend = (p_values(up_or_down, permutations=99) <= 0.05).mean(axis=0)
    assert within(slope)
    assert trend > 0.3


def test_a_score_that_follows_the_dose_is_found():
    def follows(rng):
        return 0.5 * DOSES + 0.3 * rng.standard_normal((N, 4))

    assert (p_values(follows) <= 0.05).mean(axis=0).min() > 0.95


def test_the_order_of_doses_counts_and_not_their_size():
    monotone = np.array([[-3.0, -1.0, 2.0, 2.5]]).repeat(12, axis=0)
    assert trend_p(monotone, DOSES, np.arange(12), 499, 0) == pytest.approx(1 / 500)
    level = np.array([[1.0, -1.0, 1.0, -1.0]]).repeat(12, axis=0)
    assert trend_p(level, DOSES, np.arange(12), 499, 0) > 0.01


def test_nothing_edited_has_no_response():
    nothing = respond(np.empty((0, 4)), DOSES, np.empty(0, int), 99, 99, 0)
    assert np.isnan([nothing.slope, nothing.p_value, nothing.p_trend]).all()
