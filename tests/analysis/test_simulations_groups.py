"""Level and coverage of what is said of groups and trap sets, by seeded simulation."""

import pytest

from tests.analysis import simulate_groups
from tests.analysis.simulate import band

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_equalised_odds_keep_their_level_and_their_intervals_cover(shift):
    rates = simulate_groups.fairness_rates(30, 600, shift)
    odds = rates.loc[["equalized_odds_difference", "equalized_odds_ratio"]]
    if shift:
        assert odds.loc["equalized_odds_difference", "rejected"] > 0.7
    else:
        assert (odds["rejected"] <= band(0.05, 30, checks=2)[1]).all()
    assert (rates["covered"] > 0.85).all()


def test_delongs_test_keeps_its_level_if_groups_are_kept_and_not_otherwise():
    rates = simulate_groups.delong_rates(300, 300)
    low, high = band(0.05, 300)
    assert low <= rates["groups kept"] <= high
    assert rates["groups forgotten"] > 2 * high


@pytest.mark.parametrize(("lean", "harder"), [(0.0, 0.0), (1.0, 1.0)])
def test_intervals_of_a_drop_and_of_what_is_explained_cover(lean, harder):
    found = simulate_groups.trap_coverage(60, 400, lean, harder).set_index("alike_in")
    assert (found["drop covered"] > 0.85).all()
    assert (found.loc["ruler", "explained covered"] > 0.85).all()
    assert (found.loc["ruler", "explained"].abs() > 0.05).all() == bool(lean)
