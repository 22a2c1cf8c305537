"""Level and power given other features, by seeded simulation: see `simulate_given`."""

import pytest

from tests.analysis import simulate_given
from tests.analysis.simulate import band

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
