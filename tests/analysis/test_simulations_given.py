"""Level, power and verdicts given other features, by seeded simulation: see `simulate_given`."""

import pytest

from tests.analysis import simulate_given
from tests.analysis.simulate import band
from xattn.runs.tables.verdicts import BEYOND, COMES_WITH, NOT_USED

pytestmark = pytest.mark.slow

REPETITIONS = 150


@pytest.mark.parametrize("scenario", simulate_given.NULLS, ids=lambda s: s.__name__)
def test_what_tells_nothing_beyond_the_others_is_found_as_seldom_as_the_level_says(scenario):
    rates = simulate_given.rates(scenario, REPETITIONS)
    for alpha in (0.05, 0.01):
        _, high = band(alpha, REPETITIONS, checks=2 * len(simulate_given.NULLS))
        assert rates[alpha] <= high, rates


@pytest.mark.parametrize(
    ("scenario", "least"),
    [
        (simulate_given.used_artifact, 0.9),
        (simulate_given.line, 0.6),
        (simulate_given.curve, 0.7),
        (simulate_given.turned, 0.9),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_what_tells_something_beyond_the_others_is_found(scenario, least):
    assert simulate_given.rates(scenario, 60)[0.05] >= least


def test_boosted_trees_keep_the_level_where_only_they_can_learn():
    _, high = band(0.05, 60)
    assert simulate_given.rates(simulate_given.binary, 60, learner="boosting")[0.05] <= high


@pytest.mark.parametrize("agreement", [0.3, 0.9])
def test_a_correlate_is_told_from_what_is_used(agreement):
    found = simulate_given.known_answers(agreement, 40, 500)
    found_as = found.reindex([BEYOND, COMES_WITH, NOT_USED]).fillna(0.0)
    assert found_as.loc[[COMES_WITH, NOT_USED], "used"].sum() <= 0.075
    assert found_as.loc[BEYOND, "used"] >= (0.9 if agreement < 0.5 else 0.5)
    assert found_as.loc[BEYOND, "correlate"] <= 0.125  # 5 % in truth, see docs/feature-usage.md
    assert found_as["correlate"].sum() >= 0.75
