"""Level, power and coverage, by seeded simulation; `simulate` prints the full tables."""

import numpy as np
import pytest

from tests.analysis import simulate

pytestmark = pytest.mark.slow

REPETITIONS = 200


@pytest.mark.parametrize("scenario", simulate.NULLS, ids=lambda s: s.__name__)
def test_every_usage_test_keeps_its_level(scenario):
    rates = simulate.usage_rates(scenario, REPETITIONS, 200)
    exact = rates.drop("majority")
    for alpha in (0.05, 0.01):
        low, high = simulate.band(alpha, REPETITIONS, checks=2 * len(exact) * len(simulate.NULLS))
        assert exact[alpha].between(low, high).all(), rates
        assert rates.loc["majority", alpha] <= high  # cautious, as votes are


def test_forgetting_the_groups_would_break_the_level():
    """What keeping groups whole is for: the same data, images taken as independent."""
    rates = simulate.usage_rates(simulate.groups, 60, 200, forget_groups=True)
    _, high = simulate.band(0.05, 60)
    assert rates[0.05].median() > 2 * high


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_the_familywise_error_is_kept_and_not_wasted(together):
    rates = simulate.family_rates(60, 120, together)
    _, high = simulate.band(0.05, 60, checks=2)
    assert rates["p_holm"] <= rates["p_adjusted"] <= high
    assert rates["p_value"] > 2 * rates["p_adjusted"]


def test_early_stopping_rejects_as_often_as_all_permutations_do():
    rates = simulate.early_stopping(60, 120)
    assert abs(rates["all"] - rates["early"]) <= 0.05


@pytest.mark.parametrize(
    ("scenario", "best", "least"),
    [
        (simulate.linear, "rank", 0.8),
        (simulate.quadratic, "hsic", 0.5),
        (simulate.sign_flip, "dcor", 0.6),
        (simulate.minority, "dcor", 0.5),
        (simulate.patch, "rank", 0.8),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_planted_effects_are_found_and_the_minimum_p_stays_near_the_best(scenario, best, least):
    rates = simulate.usage_rates(scenario, 60, 500)[0.05]
    assert rates[best] >= least
    assert rates["min-p"] >= rates.max() - 0.2


def test_the_minimum_p_finds_more_than_a_majority_of_votes_on_average():
    found = [simulate.usage_rates(effect, 30, 500)[0.05] for effect in simulate.EFFECTS]
    mean = sum(found) / len(found)
    assert mean["min-p"] >= mean["majority"] + 0.1


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_bits_are_unbiased_and_their_interval_covers(shift):
    bits = simulate.bits_coverage(120, 1200, shift)
    assert abs(bits["mean"] - bits["truth"]) < 4 * bits["standard error"]
    assert bits["covered"] > 0.89


@pytest.mark.parametrize("grouped", [False, True])
def test_centre_bias_is_no_alignment(grouped):
    rates = simulate.alignment_rates(REPETITIONS, 60, 0.0, grouped=grouped)
    low, high = simulate.band(0.05, REPETITIONS)
    assert low <= rates["permutation"] <= high
    assert rates["lift"] > 1.5
    assert rates["interval above 1"] > 0.95  # what "lift above 1" alone would have claimed


def test_maps_that_know_a_little_of_their_masks_are_found():
    assert simulate.alignment_rates(60, 60, 0.1)["permutation"] > 0.8


def test_the_interval_of_lift_covers():
    assert simulate.lift_coverage(REPETITIONS, 120) > 0.89


def test_bias_keeps_its_level_and_its_intervals_cover():
    quiet, loud = (simulate.bias_rates(40, 400, shift) for shift in (0.0, 0.5))
    _, high = simulate.band(0.05, 40, checks=4)
    assert (quiet["rejected"] <= high).all()
    assert (np.array([quiet["covered"], loud["covered"]]) > 0.85).all()
    assert loud.loc[["tpr", "fpr"], "rejected"].min() > 0.2
