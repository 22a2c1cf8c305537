import numpy as np
import pytest
import torch

from tests.images.placed import WAYS, placed, shown_slowly
from xattn.figures.drawing import compose
from xattn.images import Cells


def test_maps_are_upsampled_as_torch_does_it():
    native = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    ours = compose.scaled(native, Cells.spread((7, 5), (56, 64)), 56, 64)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(native)[None, None], (56, 64), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs / native.max(), atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("grid", [(7, 5), (1, 4), (1, 1)])
def test_a_map_is_shown_where_its_cells_lie(way, grid):
    cells = placed(grid, (20, 28))[way]
    native = np.random.default_rng(0).normal(0.3, 1, grid).astype(np.float32)
    native.flat[0] = 2
    positive = np.clip(native / native.max(), 0, 1)
    for shape in ((20, 28), (31, 17)):
        slow = shown_slowly(positive, cells, *shape)
        np.testing.assert_allclose(compose.scaled(native, cells, *shape), slow, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_blocks_are_the_nearest_cells(way):
    cells = placed((7, 5), (20, 28))[way]
    native = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    found = compose.blocks(native, cells, 40, 28)
    for r, c in np.ndindex(40, 28):
        row = np.abs(np.array(cells.y) - ((r + 0.5) / 2 - 0.5))
        column = np.abs(np.array(cells.x) - c)
        nearest = native[np.ix_(row < row.min() + 1e-9, column < column.min() + 1e-9)]
        assert np.isclose(found[r, c], nearest / native.max(), atol=1e-6).any()


def test_negative_attribution_counts_as_none():
    scaled = compose.scaled(
        np.array([[-3, 2], [0, 4]], np.float32), Cells.spread((2, 2), (2, 2)), 2, 2
    )
    np.testing.assert_allclose(scaled, [[0, 0.5], [0, 1]])


@pytest.mark.parametrize(
    ("native", "words"),
    [
        (np.zeros((3, 3)), "all zero"),
        (np.full((3, 3), 0.2), "constant"),
        (np.array([[1, np.nan]]), "NaN or infinite"),
        (np.array([[1, np.inf]]), "NaN or infinite"),
        (np.array([[-1, -2.0]]), "nothing positive"),
        (np.array([[0, 1e-30]]), ""),
        (np.array([[-1, 2.0]]), ""),
    ],
)
def test_a_map_without_a_image_is_named(native, words):
    assert compose.defect(native.astype(np.float32)) == words


def test_brighter_means_more_in_grey_too():
    colours = compose.colourise(np.linspace(0, 1, 256)[None])[0].astype(float)
    lightness = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -0.6).all()  # 8-bit rounding may stall it, never turn it
    assert lightness[-1] - lightness[0] > 200


def test_a_mesh_is_outlined_as_one_region_and_far_parts_stay_apart():
    mask = np.zeros((96, 96), bool)
    mask[10:40, 10:40:3] = mask[10:40:3, 10:40] = True
    mask[70:80, 70:80] = True
    closed = compose.envelope(mask)
    assert closed[10:38, 10:38].all()
    assert closed.sum() <= 900 + 100
    assert (closed | mask == closed).all()


def test_a_solid_mask_is_its_own_envelope():
    mask = np.zeros((96, 128), bool)
    mask[20:50, :30] = True
    np.testing.assert_array_equal(compose.envelope(mask), mask)


def test_opacity_runs_from_the_image_to_the_map():
    image = np.full((2, 2, 3), 200, np.uint8)
    colours = np.full((2, 2, 3), 100, np.uint8)
    values = [compose.blend(image, colours, o)[0, 0, 0] for o in (0, 0.5, 1)]
    assert values == [200, 150, 100]
