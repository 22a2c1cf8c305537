import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.images.placed import WAYS, placed, shown_slowly
from xattn.analysis.alignment.agreement import agreement_table, at_common_places
from xattn.images import Cells

RNG = np.random.default_rng(0)
N = 60
LABEL = RNG.choice(["a", "b"], N)
GROUP = np.array([None] * N, dtype=object)
QUICK = {"permutations": 199, "bootstrap": 99}
HABIT = np.exp(-np.hypot(*np.mgrid[-3:4, -3:4]) / 2)
OWN = RNG.random((N, 7, 7))


def table(a, b):
    maps = {"a": np.asarray(a, np.float32), "b": np.asarray(b, np.float32)}
    return agreement_table(maps, evenly(maps), LABEL, GROUP, **QUICK).iloc[0]


def evenly(maps):
    return {name: Cells.spread(m.shape[1:], (64, 96)) for name, m in maps.items()}


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
    found = agreement_table(maps, evenly(maps), LABEL, GROUP, **QUICK)
    assert list(zip(found["method_a"], found["method_b"], strict=True)) == [
        ("a", "b"), ("a", "c"), ("b", "c")
    ]  # fmt: skip
    assert (found["p_adjusted"] >= found["p_value"]).all()
    alone = {"a": OWN.astype(np.float32)}
    assert agreement_table(alone, evenly(alone), LABEL, GROUP, **QUICK).empty


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("grid", [(7, 7), (1, 1), (3, 9), (28, 14)])
def test_a_coarser_map_is_read_where_it_lies(way, grid):
    own, fine = placed(grid, (56, 84))[way], Cells.spread((28, 28), (56, 84))
    maps = np.random.default_rng(0).normal(size=(2, *grid)).astype(np.float32)
    other = np.random.default_rng(1).normal(size=(2, 28, 28)).astype(np.float32)
    found, unchanged = at_common_places((maps, other), (own, fine))
    assert unchanged == pytest.approx(other.reshape(2, -1))
    for values, slow in zip(found, maps, strict=True):
        assert values == pytest.approx(shown_slowly(slow, own, 28, 28).ravel(), abs=1e-6)


def test_maps_of_the_same_cells_are_compared_cell_by_cell():
    cells = placed((7, 7), (56, 56))["uneven"]
    near = Cells(tuple(v + 0.1 for v in cells.y), cells.x, cells.size)
    a, b = np.random.default_rng(0).normal(size=(2, 3, 7, 7)).astype(np.float32)
    found = at_common_places((a, b), (cells, near))
    assert np.array_equal(found[0], a.reshape(3, -1))
    assert np.array_equal(found[1], b.reshape(3, -1))


def test_a_finer_map_is_averaged_over_its_cells_near_each_place():
    at = tuple(np.arange(56) * 2.0)
    own = Cells(at, at, (112, 112))
    maps = np.random.default_rng(0).normal(size=(1, 56, 56)).astype(np.float32)
    found, _ = at_common_places(
        (maps, maps[:, :7, :7]), (own, placed((7, 7), (112, 112))["uneven"])
    )
    places = (np.arange(28) + 0.5) * 4 - 0.5
    near = np.zeros((28, 56))  # tents of two neighbours' width, all beyond to the outermost
    for j, centre in enumerate(own.y):
        for i, place in enumerate(places):
            inside = min(max(centre, places[0]), places[-1])
            near[i, j] = max(0, 1 - abs(inside - place) / 4)
    near /= near.sum(axis=1, keepdims=True)
    assert found[0] == pytest.approx((near @ maps[0] @ near.T).ravel(), abs=1e-5)


def test_places_that_finer_cells_leave_out_have_the_nearest_cell():
    crowded = Cells(tuple(np.linspace(10, 14, 40)), (3.0,), (112, 112))
    maps = np.random.default_rng(0).normal(size=(1, 40, 1)).astype(np.float32)
    other = np.zeros((1, 5, 5), np.float32)
    found, _ = at_common_places((maps, other), (crowded, Cells.spread((5, 5), (112, 112))))
    shown = found.reshape(28, 5)
    assert shown[0, 0] == pytest.approx(maps[0, 0, 0])
    assert shown[-1] == pytest.approx([maps[0, -1, 0]] * 5)


def test_two_views_of_one_place_agree_only_where_their_cells_are_known():
    """One blob, seen by a fine layer and by a coarse one whose cells lie at their corners."""
    rng, size = np.random.default_rng(0), (112, 112)
    fine, coarse = Cells.spread((28, 28), size), Cells(*[tuple(np.arange(7) * 16.0)] * 2, size)

    def blobs(cells):
        y, x = np.array(cells.y)[:, None], np.array(cells.x)
        return np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 400) for a, b in centres])

    centres = rng.uniform(20, 90, (N, 2))
    maps = {"fine": blobs(fine).astype(np.float32), "coarse": blobs(coarse).astype(np.float32)}
    known = agreement_table(maps, {"fine": fine, "coarse": coarse}, LABEL, GROUP, **QUICK)
    spread = agreement_table(maps, evenly(maps), LABEL, GROUP, **QUICK)
    assert known["overlap"].iloc[0] > spread["overlap"].iloc[0] + 0.15
    assert known["rank_correlation"].iloc[0] > spread["rank_correlation"].iloc[0]
