import numpy as np
import pytest

from xattn.analysis.adjust import enough_permutations, holm, minimum_p, two_sided_p, upper_p


def test_upper_p_counts_the_observed_statistic_among_the_permuted():
    assert upper_p(np.array([3.0, 1.0, 2.0, 0.0])) == 0.25
    assert upper_p(np.array([0.0, 1.0, 2.0, 3.0])) == 1.0
    assert upper_p(np.array([[3.0, 0.0], [1.0, 5.0]])).tolist() == [0.5, 1.0]


def test_ties_up_to_rounding_count_as_ties():
    assert upper_p(np.array([0.1 + 0.2, 0.3, 0.3, 0.3])) == 1.0
    assert two_sided_p(np.array([0.1 + 0.2, 0.3, 0.3, 0.3])) == 1.0


@pytest.mark.parametrize("sign", [1, -1])
def test_two_sided_p_finds_both_sides(sign):
    null = np.linspace(-1, 1, 99)
    assert two_sided_p(sign * np.concatenate([[5.0], null])) == 0.01
    assert two_sided_p(sign * np.concatenate([[0.0], null])) == 1.0


def test_p_of_nothing_is_nan():
    assert np.isnan(upper_p(np.full(5, np.nan)))
    assert np.isnan(two_sided_p(np.array([1.0, np.nan])))


def test_minimum_p_ranks_the_least_p_among_those_of_all_permutations():
    values = np.array([[3.0, 0.0], [2.0, 1.0], [1.0, 2.0], [0.0, 3.0]])
    each, combined = minimum_p(values)
    assert each == [0.25, 1.0]
    assert combined == 0.5  # the last row's least p is 1/4 as well
    assert minimum_p(values[:, :1]) == ([0.25], 0.25)


def test_holm_equals_its_definition_and_passes_nan_through():
    adjusted = holm([0.01, np.nan, 0.04, 0.03])
    assert adjusted[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(adjusted[1])
    assert np.isnan(holm([np.nan])).all()
    assert len(holm([])) == 0


@pytest.mark.parametrize("tests", [1, 30, 200])
def test_enough_permutations_let_the_adjusted_p_reach_alpha(tests):
    drawn = enough_permutations(99, tests, 0.05)
    assert drawn >= 99
    assert tests / (1 + drawn) <= 0.05 / 4
    assert enough_permutations(10**6, tests, 0.05) == 10**6
