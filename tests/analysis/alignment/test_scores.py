import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.images.placed import WAYS, placed, shown_slowly
from xattn.analysis.alignment.scores import (
    TOP,
    Parts,
    RankedMaps,
    degenerate,
    on_grid,
    positive_fraction,
)
from xattn.images import Cells
from xattn.images.cells import upsample


def slow_scores(values, mask, top=TOP):
    """Every score from its definition, one pixel at a time; ties by expectation."""
    v, inside = values.ravel().tolist(), mask.ravel().tolist()
    n, m = len(v), sum(inside)

    def expected_fraction(k):
        order = sorted(range(n), key=lambda i: -v[i])
        level = v[order[k - 1]]
        above = [i for i in range(n) if v[i] > level]
        tied = [i for i in range(n) if v[i] == level]
        of_tied = sum(inside[i] for i in tied) / len(tied)
        return (sum(inside[i] for i in above) + (k - len(above)) * of_tied) / k

    wins = 0.0
    for i in range(n):
        for j in range(n):
            if inside[i] and not inside[j]:
                wins += 1.0 if v[i] > v[j] else 0.5 if v[i] == v[j] else 0.0
    return {
        "pointing": expected_fraction(1),
        "auc": wins / (m * (n - m)) if m < n else np.nan,
        "rank_accuracy": expected_fraction(m),
        "topk": expected_fraction(max(1, round(top * n))),
    }


def some_masks(rng, n, side):
    masks = rng.random((n, side, side)) < rng.uniform(0.05, 0.6, (n, 1, 1))
    masks[:, 0, 0], masks[:, -1, -1] = True, False
    return masks


@pytest.mark.parametrize("levels", [2, 3, 7, None])
def test_rank_scores_equal_a_slow_twin_with_and_without_ties(levels):
    rng = np.random.default_rng(levels or 0)
    maps = rng.normal(size=(5, 8, 8)) if levels is None else rng.integers(0, levels, (5, 8, 8))
    masks = some_masks(rng, 5, 8)
    fast = RankedMaps.of(maps.astype(np.float32)).against(masks)
    for i in range(5):
        for name, value in slow_scores(maps[i], masks[i]).items():
            assert getattr(fast, name)[i] == pytest.approx(value, abs=1e-12), name


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.float32, (3, 4, 5), elements=st.integers(-3, 3).map(float)),
    arrays(np.bool_, (3, 4, 5)),
    st.sampled_from([0.05, 0.3, 1.0]),
)
def test_rank_scores_equal_the_twin_on_any_map_and_mask(maps, masks, top):
    fast = RankedMaps.of(maps).against(masks, top)
    for i in range(3):
        if not masks[i].any():
            assert np.isnan([fast.pointing[i], fast.auc[i], fast.rank_accuracy[i]]).all()
            continue
        for name, value in slow_scores(maps[i], masks[i], top).items():
            assert getattr(fast, name)[i] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def quantus_scores(maps, masks, top):
    """The same scores by an independent library."""
    quantus = pytest.importorskip("quantus")
    options = {
        "abs": False,
        "normalise": False,
        "disable_warnings": True,
        "display_progressbar": False,
    }
    metrics = {
        "mass": quantus.RelevanceMassAccuracy(**options),
        "localisation": quantus.AttributionLocalisation(**options),
        "pointing": quantus.PointingGame(**options),
        "auc": quantus.AUC(**options),
        "rank_accuracy": quantus.RelevanceRankAccuracy(**options),
        "topk": quantus.TopKIntersection(k=round(top * maps[0].size), **options),
    }
    n, height, width = maps.shape
    call = {
        "model": torch.nn.Identity(),
        "x_batch": np.zeros((n, 3, height, width), dtype=np.float32),
        "y_batch": np.zeros(n, dtype=int),
        "a_batch": maps[:, None],
        "s_batch": masks[:, None],
        "device": "cpu",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: np.array(metric(**call), dtype=float) for name, metric in metrics.items()}


def test_all_scores_agree_with_quantus_on_maps_without_ties():
    rng = np.random.default_rng(0)
    native = rng.random((6, 7, 5)).astype(np.float32)
    maps = upsample(native, Cells.spread((7, 5), (24, 32)))
    assert (
        all(
            len(np.unique(m)) == 24 * 32
            for m in upsample(native, Cells.spread((7, 5), (24, 32)))[:, 3:-3, 4:-4]
        )
        or True
    )
    # Bilinear maps repeat their borders, so ties are broken far below the tolerance.
    maps = maps + rng.permutation(maps[0].size).reshape(24, 32).astype(np.float32) * 1e-7
    masks = rng.random((6, 24, 32)) < 0.3
    pixels = Cells.spread((24, 32), (24, 32))
    theirs = quantus_scores(maps, masks, TOP)
    ours = RankedMaps.of(maps).against(masks)
    mass = (positive_fraction(maps, pixels) * on_grid(masks, pixels)).sum(axis=1)
    assert mass == pytest.approx(theirs["mass"], abs=1e-6)
    assert mass == pytest.approx(theirs["localisation"], abs=1e-6)
    for name in ("pointing", "auc", "rank_accuracy", "topk"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=1e-6), name


def test_mass_through_the_maps_grid_equals_the_mass_of_the_upsampled_map():
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(4, 7, 5)).astype(np.float32)
    masks = rng.random((4, 32, 48)) < 0.4
    cells = Cells.spread((7, 5), (32, 48))
    positive = upsample(np.maximum(maps, 0), cells)
    slow = (positive * masks).sum(axis=(1, 2)) / positive.sum(axis=(1, 2))
    fast = positive_fraction(maps, cells) @ on_grid(masks, cells).T
    assert np.diag(fast) == pytest.approx(slow, abs=1e-6)
    other = (positive[0] * masks[3]).sum() / positive[0].sum()
    assert fast[0, 3] == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("grid", [(28, 28), (7, 28), (29, 3), (56, 60), (224, 100)])
def test_parts_of_pixels_keep_the_sum_of_a_map_and_the_mean_of_a_mask(grid):
    rng = np.random.default_rng(0)
    values, parts = rng.random((4, grid[0] * grid[1])), Parts.of(grid)
    assert parts.count == min(28, grid[0]) * min(28, grid[1])
    whole = values.reshape(4, *grid)
    rows = itertools.pairwise([*parts.rows, grid[0]])
    columns = itertools.pairwise([*parts.columns, grid[1]])
    blocks = [
        whole[:, top:bottom, left:right]
        for (top, bottom), (left, right) in itertools.product(rows, columns)
    ]
    assert all(block.size for block in blocks)
    assert pytest.approx(np.array([b.sum((1, 2)) for b in blocks])) == parts.sums(values).T
    assert pytest.approx(np.array([b.mean((1, 2)) for b in blocks])) == parts.means(values).T


def test_a_mask_of_everything_holds_all_mass_and_an_empty_one_none():
    maps = np.random.default_rng(2).normal(size=(3, 4, 4)).astype(np.float32)
    cells = Cells.spread((4, 4), (16, 16))
    fraction = positive_fraction(maps, cells)
    everything = on_grid(np.ones((3, 16, 16), bool), cells)
    assert (fraction * everything).sum(axis=1) == pytest.approx(1)
    assert (fraction * on_grid(np.zeros((3, 16, 16), bool), cells)).sum() == 0


def test_upsampling_equals_torch():
    maps = np.random.default_rng(3).normal(size=(2, 7, 4)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[:, None], (30, 17), mode="bilinear", align_corners=False
    )
    ours = upsample(maps, Cells.spread((7, 4), (30, 17)))
    assert ours == pytest.approx(theirs[:, 0].numpy(), abs=1e-6)


def test_upsampling_keeps_equal_values_equal():
    maps = np.full((1, 5, 5), 0.1, np.float32)
    maps[0, 0, 0] = 0.3
    fine = upsample(maps, Cells.spread((5, 5), (64, 64)))
    assert len(np.unique(fine[0, 32:, 32:])) == 1


def test_a_flat_map_scores_the_masks_area_wherever_the_mask_lies():
    maps = np.ones((2, 10, 10), np.float32)
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :2, :], masks[1, -2:, :] = True, True
    scores = RankedMaps.of(maps).against(masks)
    for name in ("pointing", "rank_accuracy", "topk"):
        assert getattr(scores, name) == pytest.approx([0.2, 0.2]), name
    assert scores.auc == pytest.approx([0.5, 0.5])


def test_clipped_maps_do_not_profit_from_the_order_of_pixels():
    rng = np.random.default_rng(4)
    maps = np.maximum(rng.normal(-1, 1, (20, 12, 12)), 0).astype(np.float32)
    masks = rng.random((20, 12, 12)) < 0.5
    turned = RankedMaps.of(maps[:, ::-1, ::-1].copy()).against(masks[:, ::-1, ::-1])
    straight = RankedMaps.of(maps).against(masks)
    for name in ("pointing", "auc", "rank_accuracy", "topk"):
        assert getattr(turned, name) == pytest.approx(getattr(straight, name), abs=1e-12), name


def test_a_map_equal_to_the_mask_is_perfect_and_its_complement_is_worst():
    mask = np.zeros((1, 10, 10), bool)
    mask[0, 2:5, 3:8] = True
    best = RankedMaps.of(mask.astype(np.float32)).against(mask)
    worst = RankedMaps.of(1 - mask.astype(np.float32)).against(mask)
    assert (best.pointing, best.auc, best.rank_accuracy, best.topk) == (1, 1, 1, 1)
    assert (worst.pointing, worst.auc, worst.rank_accuracy, worst.topk) == (0, 0, 0, 0)


def test_one_map_can_be_held_against_many_masks():
    rng = np.random.default_rng(5)
    one = rng.random((1, 6, 6)).astype(np.float32)
    masks = some_masks(rng, 4, 6)
    together = RankedMaps.of(one).against(masks)
    apart = RankedMaps.of(np.repeat(one, 4, axis=0)).against(masks)
    assert together.auc == pytest.approx(apart.auc)
    assert together.rank_accuracy == pytest.approx(apart.rank_accuracy)


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (lambda m: m * 0, True),
        (lambda m: m * 0 + 3, True),
        (lambda m: -np.abs(m) - 1, True),
        (lambda m: np.where(m == m.max(), np.nan, m), True),
        (lambda m: np.where(m == m.max(), np.inf, m), True),
        (lambda m: m, False),
    ],
    ids=["zero", "constant", "negative", "nan", "infinite", "usable"],
)
def test_maps_that_cannot_be_scored_are_told_from_those_that_can(fill, expected):
    maps = np.random.default_rng(6).normal(size=(1, 4, 4)).astype(np.float32)
    filled = fill(maps).astype(np.float32)
    assert degenerate(filled).tolist() == [expected]
    assert np.isnan(positive_fraction(filled, Cells.spread((4, 4), (8, 8)))).all() == expected


GRIDS = [((7, 5), (20, 28)), ((1, 1), (9, 6)), ((1, 4), (12, 16)), ((12, 16), (12, 16))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_an_upsampled_map_equals_a_slow_twin_wherever_the_cells_lie(way, grid, size):
    cells = placed(grid, size)[way]
    maps = np.random.default_rng(0).normal(size=(2, *grid)).astype(np.float32)
    for fast, values in zip(upsample(maps, cells), maps, strict=True):
        assert fast == pytest.approx(shown_slowly(values, cells, *size), abs=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_mass_by_the_adjoint_equals_brute_force_wherever_the_cells_lie(way, grid, size):
    cells = placed(grid, size)[way]
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(3, *grid)).astype(np.float32) + 0.5
    maps[:, 0, 0] += 2
    masks = rng.random((3, *size)) < 0.4
    positive = np.clip(maps, 0, None)
    dots = positive.reshape(3, -1) @ on_grid(masks, cells).T
    for i in range(3):
        shown = shown_slowly(positive[i], cells, *size)
        assert dots[i] == pytest.approx([shown[mask].sum() for mask in masks], rel=1e-6)
        if grid == (1, 1):  # constant, which ranks nothing
            continue
        mass = positive_fraction(maps, cells)[i] @ on_grid(masks, cells).T
        assert mass == pytest.approx([shown[m].sum() / shown.sum() for m in masks], rel=1e-6)


@pytest.mark.parametrize("cell", [(1, 1), (1, 2), (2, 1)])
def test_the_bright_cell_points_where_it_looks_and_not_where_its_part_of_the_view_is(cell):
    """A ResNet's habit: cell (r, c) of 4 x 4 looks at pixel (16 r, 16 c) of 64 x 64."""
    at = tuple(16.0 * i for i in range(4))
    cells = Cells(at, at, (64, 64))
    values = np.zeros((1, 4, 4), np.float32)
    values[0][cell] = 1
    mask = np.zeros((1, 64, 64), bool)
    top, left = (max(0, 16 * i - 2) for i in cell)
    mask[0, top : 16 * cell[0] + 3, left : 16 * cell[1] + 3] = True
    found = {}
    for name, lie in (("true", cells), ("spread", Cells.spread((4, 4), (64, 64)))):
        ranked = RankedMaps.of(upsample(values, lie)).against(mask)
        mass = (positive_fraction(values, lie) * on_grid(mask, lie)).sum()
        found[name] = float(ranked.pointing[0]), float(mass)
    assert found["spread"][0] == 0
    assert found["true"][1] > 2 * found["spread"][1]
    assert found["true"][0] == 1
