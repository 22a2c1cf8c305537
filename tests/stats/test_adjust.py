import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from xattn.stats.adjust import (
    benjamini_hochberg,
    enough_permutations,
    holm,
    minimum_p,
    permuted_p,
    two_sided_p,
    upper_p,
    westfall_young,
)


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
    assert permuted_p(values)[0].tolist() == [0.25, 1.0]
    assert minimum_p(values)[0] == 0.5  # the last row's least p is 1/4 as well
    assert minimum_p(values[:, :1]).tolist() == [0.25, 0.5, 0.75, 1.0]


def test_permuted_p_is_the_upper_p_of_every_row():
    values = np.random.default_rng(0).integers(0, 5, (20, 3)).astype(float)
    for row in range(20):
        order = [row, *(i for i in range(20) if i != row)]
        assert permuted_p(values)[row] == pytest.approx(upper_p(values[order]))


def slow_westfall_young(p):
    """Algorithm 2.8 of Westfall and Young (1993), as it is written."""
    order = sorted(range(p.shape[1]), key=lambda i: p[0, i])
    counts = np.zeros(len(order))
    for row in p:
        least = np.inf
        for j in reversed(range(len(order))):
            least = min(least, row[order[j]])
            counts[j] += least <= p[0, order[j]]
    adjusted, so_far = np.empty(len(order)), 0.0
    for j, feature in enumerate(order):
        so_far = max(so_far, counts[j] / len(p))
        adjusted[feature] = so_far
    return adjusted


def test_westfall_young_equals_its_algorithm():
    values = np.random.default_rng(1).normal(size=(100, 6))
    values[0, 2] = 4
    p = permuted_p(values)
    assert westfall_young(p) == pytest.approx(slow_westfall_young(p))


def test_westfall_young_costs_nothing_for_copies_of_one_feature():
    p = permuted_p(np.random.default_rng(2).normal(size=(100, 1)))
    assert westfall_young(np.repeat(p, 9, axis=1)) == pytest.approx(np.repeat(p[0], 9))
    assert np.isnan(westfall_young(np.full((10, 2), np.nan))).all()
    with_gap = np.concatenate([p, np.full((100, 1), np.nan)], axis=1)
    assert westfall_young(with_gap)[0] == p[0, 0]


def test_westfall_young_lies_between_the_raw_p_and_holm_for_independent_features():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2000, 10))
    values[0, :2] = 3
    p = permuted_p(values)
    found, raw = westfall_young(p), p[0]
    assert (found >= raw).all()
    assert (found <= holm(raw) * 1.2).all()


def test_the_false_discovery_rate_asks_less_than_holm():
    p = [0.01, np.nan, 0.02, 0.03]
    assert benjamini_hochberg(p)[[0, 2, 3]] == pytest.approx([0.03, 0.03, 0.03])
    assert np.isnan(benjamini_hochberg(p)[1])


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_are_those_of_statsmodels_to_the_last_digit(seed):
    rng = np.random.default_rng(seed)
    p = rng.choice([rng.random(), *rng.random(40) ** 3], 30)
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert (adjust(p) == multipletests(p, method=method)[1]).all()


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
