import numpy as np
import pytest

from xattn.analysis.dependence.effects import main_direction, rank_effect, ranked
from xattn.analysis.dependence.ranks import ranks_within
from xattn.stats.columns import as_column

LABEL = np.repeat([0, 1], [30, 20])
ROWS = np.arange(50)


def effect(feature, score):
    score = np.asarray(score, float)
    return rank_effect(as_column(feature), ROWS, ranked(score.reshape(50, -1), LABEL), LABEL)


def test_effect_of_a_truth_value_is_the_difference_of_win_and_loss():
    rng = np.random.default_rng(0)
    score, present = rng.normal(size=50), rng.integers(0, 2, 50)
    top = bottom = 0.0
    for label in (0, 1):
        some = label == LABEL
        n = some.sum()
        with_it, without = score[some & (present == 1)], score[some & (present == 0)]
        difference = np.sign(with_it[:, None] - without).mean()
        weight = len(with_it) * len(without) / (n + 1)
        top, bottom = top + weight * difference, bottom + weight
    assert effect(present, score) == pytest.approx(top / bottom)


def test_effect_is_one_for_perfect_separation_even_of_a_rare_feature():
    present = np.zeros(50)
    present[[0, 1, 40]] = 1
    assert effect(present, present) == pytest.approx(1)
    assert effect(present, -present) == pytest.approx(-1)


def test_effect_of_a_number_is_signed_correlation_within_labels():
    x = np.arange(50.0)
    assert effect(x, x + 100 * LABEL) == pytest.approx(1)
    assert effect(x, -(x**3)) == pytest.approx(-1)


def test_effect_of_names_or_of_several_columns_has_no_sign():
    rng = np.random.default_rng(1)
    score = rng.normal(size=50)
    names = np.where(score < -0.3, "low", np.where(score > 0.3, "high", "mid"))
    assert 0.5 < effect(names, score) <= 1
    assert effect(score, np.stack([rng.normal(size=50), -score, score], 1)) == pytest.approx(1)


def test_main_direction_follows_the_columns_that_vary_together():
    rng = np.random.default_rng(2)
    score = rng.normal(size=50)
    columns = np.stack([score, -score, rng.normal(size=50)], axis=1)
    main = main_direction(columns, LABEL)
    assert abs(np.corrcoef(main, ranks_within(score, LABEL))[0, 1]) > 0.9
    assert (main_direction(score[:, None], LABEL) == score).all()
