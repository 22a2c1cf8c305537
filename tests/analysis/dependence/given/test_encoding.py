import numpy as np
import pytest

from xattn.analysis.dependence.given.encoding import encode, normal_scores, standardised
from xattn.stats.columns import as_column

RNG = np.random.default_rng(0)
NUMBERS = RNG.exponential(size=200)


@pytest.mark.parametrize(
    ("values", "first", "tested"),
    [
        (RNG.integers(0, 2, 200), 1, 1),
        (NUMBERS, 1, 3),
        (RNG.integers(0, 3, 200), 1, 2),
        (np.array(list("abcd"))[RNG.integers(0, 4, 200)], 3, 3),
        (RNG.normal(size=(200, 2)), 2, 6),
        (np.zeros(200), 0, 0),
        (np.full(200, np.nan), 0, 0),
    ],
    ids=[
        "yes or no",
        "number",
        "three values",
        "names",
        "two numbers",
        "constant",
        "known nowhere",
    ],
)
def test_every_kind_of_feature_becomes_columns_of_mean_0_and_variance_1(values, first, tested):
    encoded = encode(as_column(values))
    assert (encoded.first, encoded.tested.shape) == (first, (200, tested))
    for columns in (encoded.linear, encoded.bends, encoded.gap, encoded.tested):
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-9)


def test_a_gap_is_held_fixed_as_such_and_is_not_tested():
    values = np.where(np.arange(200) < 50, np.nan, NUMBERS)
    encoded = encode(as_column(values))
    assert (encoded.linear[:50] == 0).all()
    assert np.isnan(encoded.tested[:50]).all()
    indicator = encoded.gap[:, 0]
    assert len(np.unique(indicator)) == 2
    assert np.corrcoef(indicator, np.isnan(values))[0, 1] == pytest.approx(1)


def test_rare_names_share_a_column():
    names = np.array(["a"] * 50 + ["b"] * 40 + ["c"] * 2 + ["d"] * 2)
    assert encode(as_column(names)).linear.shape == (94, 2)


def test_normal_scores_do_not_ask_how_far_apart_values_are():
    stretched = normal_scores(np.exp(3 * NUMBERS)[:, None])
    np.testing.assert_allclose(stretched, normal_scores(NUMBERS[:, None]))
    assert np.isfinite(stretched).all()


def test_what_never_varies_is_left_out():
    assert standardised(np.ones((10, 2))).shape == (10, 0)
