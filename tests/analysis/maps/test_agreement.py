import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from xattn.analysis.maps.agreement import agreement_table

RNG = np.random.default_rng(0)
N = 60
LABEL = RNG.choice(["a", "b"], N)
GROUP = np.array([None] * N, dtype=object)
QUICK = {"permutations": 199, "bootstrap": 99}
HABIT = np.exp(-np.hypot(*np.mgrid[-3:4, -3:4]) / 2)
OWN = RNG.random((N, 7, 7))


def table(a, b):
    maps = {"a": np.asarray(a, np.float32), "b": np.asarray(b, np.float32)}
    return agreement_table(maps, LABEL, GROUP, **QUICK).iloc[0]


def test_numbers_equal_scipys_image_by_image():
    a, b = RNG.random((2, N, 7, 7))
    row = table(a, b)
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    assert row["rank_correlation"] == pytest.approx(np.mean(expected))
    top = [
        set(x.ravel().argsort()[-5:]) & set(y.ravel().argsort()[-5:])
        for x, y in zip(a, b, strict=True)
    ]
    assert row["overlap"] == pytest.approx(np.mean([len(t) / 5 for t in top]))


def test_a_common_habit_is_no_agreement():
    a, b = (HABIT + 0.3 * RNG.random((N, 7, 7)) for _ in "ab")
    row = table(a, b)
    assert row["rank_correlation"] > 0.3
    assert row["chance_rank_correlation"] == pytest.approx(row["rank_correlation"], abs=0.05)
    assert row["p_value"] > 0.01


def test_maps_of_the_same_thing_agree_beyond_their_habits():
    row = table(HABIT + OWN, 2 * HABIT + OWN)
    assert row["p_value"] == 1 / 200
    assert row["rank_correlation_low"] > row["chance_rank_correlation"]
    assert row["overlap_low"] > row["chance_overlap"]
    same = table(OWN, OWN)
    assert (same["rank_correlation"], same["overlap"]) == pytest.approx((1, 1))


def test_grids_of_different_size_are_brought_together_as_torch_would():
    fine = torch.nn.functional.interpolate(torch.tensor(OWN)[:, None], (14, 21), mode="bilinear")
    assert table(OWN, fine[:, 0])["rank_correlation"] == pytest.approx(1)
    finer = torch.nn.functional.interpolate(torch.tensor(OWN)[:, None], (56, 56), mode="bilinear")
    assert table(OWN, finer[:, 0])["rank_correlation"] > 0.95


def test_maps_that_show_nothing_are_left_out_and_counted():
    flat = OWN.copy()
    flat[:10] = 0
    flat[10] = np.nan
    assert table(flat, OWN)["n"] == N - 11
    nothing = table(np.zeros((N, 7, 7)), OWN)
    assert nothing["n"] == 0
    assert np.isnan(nothing["p_value"])


def test_every_pair_has_a_row_and_p_values_are_adjusted():
    maps = {name: RNG.random((N, 7, 7)).astype(np.float32) for name in "abc"}
    found = agreement_table(maps, LABEL, GROUP, **QUICK)
    assert list(zip(found["method_a"], found["method_b"], strict=True)) == [
        ("a", "b"), ("a", "c"), ("b", "c")
    ]  # fmt: skip
    assert (found["p_adjusted"] >= found["p_value"]).all()
    assert agreement_table({"a": OWN.astype(np.float32)}, LABEL, GROUP, **QUICK).empty
