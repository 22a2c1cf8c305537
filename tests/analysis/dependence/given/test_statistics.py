import numpy as np
import pytest

from xattn.analysis.dependence.given.statistics import (
    Contributions,
    Flips,
    fraction_as_small,
    smallest_p,
    widening,
)

RNG = np.random.default_rng(2)
N = 120
GROUP = np.repeat(np.arange(N // 3), 3)
FOLD = (GROUP % 4).astype(np.intp)
FLIPS = Flips.of(GROUP, FOLD, 99, 0)


def contributions(score, feature, first=1, predicted=None, spent=0.0):
    predicted = np.zeros((N, 1)) if predicted is None else predicted
    return Contributions.of(score, feature, first, predicted, np.zeros((N, 0)), FLIPS, spent)


def test_the_signs_of_a_group_flip_together_and_the_first_pattern_flips_none():
    assert FLIPS.units == N // 3
    assert (FLIPS.signs[0] == 1).all()
    assert set(np.unique(FLIPS.signs)) == {-1.0, 1.0}
    assert (FLIPS.unit.reshape(-1, 3) == FLIPS.unit[::3, None]).all()
    assert (FLIPS.fold[FLIPS.unit] == FOLD).all()


def test_of_very_many_groups_several_flip_together_within_their_fold():
    group = np.arange(20_000)
    fold = (group % 5).astype(np.intp)
    flips = Flips.of(group, fold, 3, 0)
    assert flips.units <= 4096
    assert (flips.fold[flips.unit] == fold).all()


def test_the_plain_measure_is_the_studentised_covariance_of_residuals():
    score, feature = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 1))
    product = (score * feature)[:, 0].reshape(-1, 3).sum(axis=1)
    expected = abs(product.sum()) / np.sqrt((product**2).sum())
    found = contributions(score, feature).statistics(FLIPS)[0, 0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_projected_measure_is_the_sum_over_folds_in_the_direction_of_the_others():
    """The slow twin: for each pattern of signs, each fold's direction comes from the others."""
    score, feature = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 3))
    sums = FLIPS.sums(score * feature)
    metric = np.linalg.inv(sums.T @ sums)
    slow = []
    for signs in FLIPS.signs[:20]:
        flipped = signs[:, None] * sums
        of_folds = [flipped[FLIPS.fold == k].sum(axis=0) for k in range(4)]
        whole = np.sum(of_folds, axis=0)
        slow.append(sum(own @ metric @ (whole - own) for own in of_folds))
    found = contributions(score, feature).statistics(FLIPS)[:20, 2]
    np.testing.assert_allclose(found, slow, atol=1e-4)


def test_weights_find_a_covariance_that_turns_with_what_is_held_fixed():
    held = RNG.normal(size=(N, 1))
    score = RNG.normal(size=(N, 1))
    feature = score * np.sign(held) + 0.5 * RNG.normal(size=(N, 1))
    plain, weighted = contributions(score, feature, predicted=held).statistics(FLIPS)[0, :2]
    assert weighted > 4 > plain


def test_rows_with_a_gap_add_nothing_and_a_feature_without_residual_has_no_statistic():
    score, feature = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 1))
    gap, zero = feature.copy(), feature.copy()
    gap[:30], zero[:30] = np.nan, 0.0
    np.testing.assert_array_equal(
        contributions(score, gap).statistics(FLIPS), contributions(score, zero).statistics(FLIPS)
    )
    assert np.isnan(contributions(score, 0 * feature).statistics(FLIPS)).all()


def test_what_the_regressions_spent_makes_the_observed_statistic_smaller_and_no_flipped_one():
    score, feature = RNG.normal(size=(N, 1)), RNG.normal(size=(N, 1))
    free = contributions(score, feature).statistics(FLIPS)
    spent = contributions(score, feature, spent=FLIPS.units / 2).statistics(FLIPS)
    wider = widening(FLIPS.units / 2, FLIPS.units, 4)
    np.testing.assert_allclose(free[0] / spent[0], [wider**0.5, wider**0.5, wider])
    np.testing.assert_array_equal(spent[1:], free[1:])


def test_the_widening_is_that_of_out_of_fold_hat_matrices():
    """The slow twin: the matrix written out, of regressions on 12 columns in 5 folds."""
    rng = np.random.default_rng(7)
    n, columns, folds = 600, 12, 5
    design = rng.normal(size=(n, columns))
    fold = np.arange(n) % folds
    hat = np.zeros((n, n))
    for k in range(folds):
        inside = fold != k
        hat[np.ix_(~inside, inside)] = design[~inside] @ np.linalg.pinv(design[inside])
    left = np.eye(n) - hat
    variance = np.square(left.T @ left).sum()
    seen = np.square(np.square(left).sum(axis=1)).sum()
    assert widening(columns, n, folds) == pytest.approx(variance / seen, abs=0.02)


def test_the_least_of_the_p_values_is_on_one_scale_and_an_outlier_is_told_by_its_distance():
    rng = np.random.default_rng(8)
    one, five = np.abs(rng.normal(size=4000)), np.abs(rng.normal(size=(4000, 5))).max(axis=1)
    values = np.stack([one, five, 1e3 * (rng.normal(size=(4000, 3)) ** 2).sum(axis=1)], axis=1)
    least = smallest_p(values)
    for alpha in (0.05, 0.01):  # three independent p-values
        expected = 1 - (1 - alpha) ** 3
        assert (least < alpha).mean() == pytest.approx(expected, rel=0.25)
    values[0, 0] = 6.0
    assert smallest_p(values)[0] < 1e-7
    assert (smallest_p(values)[1:] > 1e-6).all()


def test_the_p_value_is_the_rank_of_the_observed_among_all():
    assert fraction_as_small(np.array([0.2, 0.1, 0.2, 0.5])) == 0.75
    assert np.isnan(fraction_as_small(np.full(4, np.nan)))
