from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xattn.errors import RunError
from xattn.images import Cells

AXIS = st.lists(st.floats(-50, 300), min_size=1, max_size=9, unique=True).map(
    lambda v: tuple(float(x) for x in np.cumsum(np.abs(v) + 0.5))
)


@given(n=st.integers(1, 12), pixels=st.integers(1, 60), out=st.integers(1, 60))
def test_cells_spread_evenly_are_torchs_bilinear_interpolation(
    n: int, pixels: int, out: int
) -> None:
    rows, columns = Cells.spread((n, 3), (pixels, 7)).matrices(out, 5)
    values = np.random.default_rng(0).normal(size=(n, 3))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=(out, 5), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(rows @ values @ columns.T, expected[0, 0].numpy(), atol=1e-9)


@given(y=AXIS, x=AXIS)
def test_cells_survive_json(y: tuple[float, ...], x: tuple[float, ...]) -> None:
    cells = Cells(y, x, (224, 96))
    again = Cells.from_dict(json.loads(json.dumps(cells.to_dict())))
    assert again.size == cells.size
    np.testing.assert_allclose(again.y, y, atol=1e-4)
    np.testing.assert_allclose(again.x, x, atol=1e-4)


def test_a_value_is_exact_at_its_centre_linear_between_and_constant_beyond() -> None:
    rows, _ = Cells((4.0, 8.0), (0.0,), (16, 1)).matrices(16, 1)
    shown = rows @ np.array([1.0, 3.0])
    assert shown[:9].tolist() == [1, 1, 1, 1, 1, 1.5, 2, 2.5, 3]
    assert (shown[8:] == 3).all()


def test_even_centres_are_stored_as_origin_and_step_and_uneven_ones_in_full() -> None:
    stored = Cells((0.0, 32.0, 64.0), (1.0, 2.0, 5.0), (96, 96)).to_dict()
    assert stored["y"] == [0.0, 32.0]
    assert stored["x"] == {"centres": [1.0, 2.0, 5.0]}


@pytest.mark.parametrize("y", [(), (3.0, 3.0), (4.0, 1.0), (float("nan"),)])
def test_centres_that_do_not_ascend_are_refused(y: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Cells(y, (0.0,), (8, 8))


@pytest.mark.parametrize("values", [{}, {"y": [0], "x": [0, 1], "grid": [1, 1], "size": [8, 8]}])
def test_stored_places_that_are_none_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(RunError, match="places of cells"):
        Cells.from_dict(values)


PLACES = st.lists(st.floats(-40, 80), min_size=1, max_size=20).map(np.array)


@given(y=AXIS, x=AXIS, rows=PLACES, columns=PLACES)
def test_a_map_read_anywhere_is_numpys_interpolation(
    y: tuple[float, ...], x: tuple[float, ...], rows: np.ndarray, columns: np.ndarray
) -> None:
    cells = Cells(y, x, (64, 64))
    values = np.random.default_rng(0).random(cells.grid).astype(np.float32)
    along = np.stack([np.interp(columns, x, line) for line in values])
    slow = np.stack([np.interp(rows, y, line) for line in along.T], axis=1)
    np.testing.assert_allclose(cells.at(values, rows, columns), slow, atol=1e-5)


@given(y=AXIS, x=AXIS, height=st.integers(1, 30), width=st.integers(1, 30))
def test_the_nearest_cell_is_the_nearest(
    y: tuple[float, ...], x: tuple[float, ...], height: int, width: int
) -> None:
    found = Cells(y, x, (64, 48)).nearest(height, width)
    for chosen, centres, pixels in zip(found, (y, x), (64, 48), strict=True):
        n = len(chosen)
        places = (np.arange(n) + 0.5) * pixels / n - 0.5
        away = np.abs(places[:, None] - np.array(centres))
        np.testing.assert_allclose(away[np.arange(n), chosen], away.min(axis=1), atol=1e-6)


@given(y=AXIS, x=AXIS, height=st.integers(1, 30), width=st.integers(1, 30))
def test_constants_stay_constant_and_the_transpose_brings_a_mask_to_the_map(
    y: tuple[float, ...], x: tuple[float, ...], height: int, width: int
) -> None:
    cells = Cells(y, x, (64, 48))
    rows, columns = cells.matrices(height, width)
    assert min(rows.min(), columns.min()) >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    rng = np.random.default_rng(0)
    mask, values = rng.random((height, width)) < 0.3, rng.random(cells.grid)
    inside = (rows @ values @ columns.T)[mask].sum()
    np.testing.assert_allclose((values * (rows.T @ mask @ columns)).sum(), inside, atol=1e-9)


def test_the_shared_matrices_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Cells.spread((3, 3), (8, 8)).matrices(5, 5)[0][0, 0] = 2


def test_a_cell_is_worth_its_step_whatever_the_border_cuts_off():
    """ResNet18 at 224 pixels: seven cells, 32 pixels apart from pixel 0."""
    centres = tuple(32.0 * r for r in range(7))
    assert Cells(centres, centres, (224, 224)).in_view == pytest.approx(49)
    centres = tuple(32.0 * r for r in range(8))  # the same step at 225 pixels
    assert Cells(centres, centres, (225, 225)).in_view == pytest.approx((225 / 32) ** 2)
    assert Cells((4.0,), (0.0, 5.0), (10, 10)).in_view == pytest.approx(2)
