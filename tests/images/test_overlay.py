"""Overlays stay in register with the image and never make an image out of nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xattn.errors import DiskError
from xattn.images import Cells, Preprocessing
from xattn.images.overlay import degenerate, draw_overlay, thumbnail, write_image

GREY = np.full((64, 96, 3), 90, np.uint8)


def peak_at(row: int, col: int, grid: tuple[int, int] = (4, 6)) -> np.ndarray:
    values = np.zeros(grid, np.float32)
    values[row, col] = 1
    return values


def drawn_evenly(image, values, view, image_size, **more) -> np.ndarray:
    cells = Cells.spread(values.shape, (view.height, view.width))
    return draw_overlay(image, values, cells, view, image_size, **more)


def brightest(image: np.ndarray) -> tuple[float, float]:
    """Centre (x, y) of the brightest pixels."""
    light = image.astype(int).sum(2)
    rows, cols = np.nonzero(light > 0.98 * light.max())
    return cols.mean() + 0.5, rows.mean() + 0.5


class TestADegenerateMap:
    @pytest.mark.parametrize(
        ("values", "why"),
        [
            ([[0, 1], [np.nan, 1]], "nan"),
            ([[0, 1], [np.inf, 1]], "nan"),
            ([[0, 0], [0, 0]], "zero"),
            ([[3, 3], [3, 3]], "constant"),
            ([[-2, -2], [-2, -2]], "constant"),
            ([[-1, -2], [0, -3]], "negative"),
            ([[-1, 2], [0, 0]], ""),
            ([[0, 1e-30], [0, 0]], ""),
        ],
    )
    def test_is_named(self, values, why):
        assert degenerate(np.array(values, np.float32)) == why

    @pytest.mark.parametrize(
        "values", [np.zeros((4, 6)), np.full((4, 6), 5), np.full((4, 6), np.nan), -np.eye(4, 6)]
    )
    def test_is_drawn_grey_and_not_stretched(self, values):
        colourful = np.zeros((64, 96, 3), np.uint8)
        colourful[:, :48] = (200, 40, 10)
        view = Preprocessing((32, 48)).view(96, 64)
        drawn = drawn_evenly(colourful, values.astype(np.float32), view, (96, 64))
        assert (drawn == drawn[..., :1]).all()
        assert drawn[:20].max() > 200  # the reason is written on it, by some versions less bright
        assert len(np.unique(drawn[32:])) == 2


class TestRegister:
    @pytest.mark.parametrize(("row", "col"), [(0, 0), (1, 4), (3, 5), (2, 1)])
    def test_a_peak_is_where_its_cell_is_when_the_image_was_squashed(self, row, col):
        view = Preprocessing((32, 32)).view(960, 640)
        drawn = drawn_evenly(GREY, peak_at(row, col), view, (960, 640))
        x, y = brightest(drawn)
        assert abs(x - (col + 0.5) * 16) < 4 or col in (0, 5)
        assert col * 16 <= x <= (col + 1) * 16
        assert row * 16 <= y <= (row + 1) * 16

    def test_a_cropped_view_is_lit_and_the_rest_is_dimmed(self):
        view = Preprocessing((32, 32), "crop", 32).view(96, 64)
        assert view.box == (16, 0, 80, 64)
        drawn = drawn_evenly(GREY, peak_at(0, 0, (2, 2)), view, (96, 64))
        assert (drawn[:, :16] == 30).all()
        assert (drawn[:, 80:] == 30).all()
        x, y = brightest(drawn)
        assert (16 <= x <= 48, 0 <= y <= 32) == (True, True)

    def test_is_bilinear_as_torch_does_it_without_aligned_corners(self):
        """Trap 9: at strength 1 the image is the colour map of the enlarged map."""
        values = np.random.default_rng(0).random((4, 6)).astype(np.float32)
        view = Preprocessing((32, 48)).view(96, 64)
        drawn = drawn_evenly(GREY, values, view, (96, 64), strength=1)
        large = F.interpolate(
            torch.tensor(values / values.max())[None, None], (64, 96), mode="bilinear"
        )[0, 0].numpy()
        # The colour map's red channel rises with the value.
        order = np.argsort(large.ravel())
        red = drawn[..., 0].ravel()[order].astype(int)
        assert (np.diff(red) >= -3).all()
        near = large.ravel()[order]
        assert red[near > 0.95].min() > red[near < 0.5].max()

    def test_nothing_stays_the_colour_of_nothing(self):
        """Scaled by the maximum, never shifted: a map of 1 to 2 is warm everywhere."""
        view = Preprocessing((32, 48)).view(96, 64)
        shifted = 1 + peak_at(1, 1)
        cold = drawn_evenly(GREY, peak_at(1, 1), view, (96, 64), strength=1)
        warm = drawn_evenly(GREY, shifted, view, (96, 64), strength=1)
        assert cold[60, 90].sum() < 20
        assert warm[60, 90].sum() > 150

    def test_much_is_yellow_and_some_is_red_not_blue(self):
        view = Preprocessing((32, 48)).view(96, 64)
        values = np.tile(np.array([1, 0.6], np.float32).repeat(3), (4, 1))
        drawn = drawn_evenly(GREY, values, view, (96, 64), strength=1).astype(int)
        much, some = drawn[32, 20], drawn[32, 80]
        assert min(much[:2]) > much[2] + 50
        assert some[0] > some[2] + 50

    def test_red_is_red(self):
        """Trap 12: at strength 0 the image is the image."""
        red = np.zeros((64, 96, 3), np.uint8)
        red[..., 0] = 250
        view = Preprocessing((32, 48)).view(96, 64)
        assert (drawn_evenly(red, peak_at(1, 1), view, (96, 64), strength=0) == red).all()

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        width=st.integers(1, 5000),
        height=st.integers(1, 5000),
        crop=st.booleans(),
        size=st.tuples(st.integers(8, 64), st.integers(8, 64)),
    )
    def test_images_of_any_shape_are_drawn(self, width, height, crop, size):
        preprocessing = Preprocessing(size, "crop" if crop else "squash")
        scale = min(1, 512 / max(width, height))
        shape = (max(1, round(height * scale)), max(1, round(width * scale)), 3)
        image = np.full(shape, 77, np.uint8)
        view = preprocessing.view(width, height)
        for values in (peak_at(1, 2), np.zeros((4, 6), np.float32)):
            drawn = drawn_evenly(image, values, view, (width, height))
            assert drawn.shape == shape
            assert drawn.dtype == np.uint8


def slow_levels(values, cells, view, size, shape) -> np.ndarray:
    """What each pixel of the view shows, 0 to 255, one pixel at a time; -1 where it saw nothing."""
    found = np.full(shape, -1.0)
    scaled = np.clip(values / values.max(), 0, 1)
    for r in range(shape[0]):
        for c in range(shape[1]):
            x, y = (c + 0.5) * size[0] / shape[1], (r + 0.5) * size[1] / shape[0]
            left, top, right, bottom = view.box
            if not (left <= x <= right and top <= y <= bottom):
                continue
            column = (x - left) / (right - left) * view.width - 0.5
            row = (y - top) / (bottom - top) * view.height - 0.5
            lines = [np.interp(column, cells.x, line) for line in scaled]
            found[r, c] = 255 * np.interp(row, cells.y, lines)
    return found


PLACED = {
    "spread evenly": lambda: Cells.spread((4, 6), (32, 48)),
    "shifted": lambda: Cells((0.0, 8.0, 16.0, 24.0), tuple(np.arange(6) * 8.0), (32, 48)),
    "uneven": lambda: Cells((1.0, 5.0, 20.0), (3.0, 4.0, 30.0, 41.0), (32, 48)),
    "beyond the input": lambda: Cells((-9.0, 16.0, 50.0), (-3.0, 60.0), (32, 48)),
    "one cell": lambda: Cells((3.0,), (5.0,), (32, 48)),
    "one row": lambda: Cells((3.0,), (5.0, 9.0, 40.0), (32, 48)),
    "as fine as the input": lambda: Cells.spread((32, 48), (32, 48)),
}
SEEN = {
    "squashed": ((96, 64), "squash", (64, 96)),
    "reduced": ((1000, 333), "squash", (17, 51)),
    "cropped": ((200, 90), "crop", (90, 200)),
    "cropped and reduced": ((333, 1000), "crop", (61, 20)),
    "a thin line": ((7, 900), "squash", (40, 1)),
}


@pytest.mark.parametrize("placed", PLACED)
@pytest.mark.parametrize("seen", SEEN)
def test_an_overlay_equals_a_slow_twin_wherever_the_cells_lie(placed, seen, monkeypatch):
    cells = PLACED[placed]()
    size, mode, shape = SEEN[seen]
    view = Preprocessing((32, 48), mode, 60 if mode == "crop" else None).view(*size)
    values = np.random.default_rng(0).normal(0.4, 1, cells.grid).astype(np.float32)
    values.flat[0] = 2
    if values.size == 1:  # drawn as a map of its own only beside another value
        monkeypatch.setattr("xattn.images.overlay.degenerate", lambda values: "")
    # In the place of the colour map the level itself.
    monkeypatch.setattr(cv2, "applyColorMap", lambda levels, _: np.stack([levels] * 3, axis=2))
    drawn = draw_overlay(np.zeros((*shape, 3), np.uint8), values, cells, view, size, strength=1)
    slow = slow_levels(values, cells, view, size, shape)
    known = slow >= 0
    assert known.any()
    np.testing.assert_allclose(drawn[..., 0][known], slow[known], atol=0.51)


def test_a_map_of_pixels_lies_on_its_pixels():
    values = np.random.default_rng(0).random((32, 48)).astype(np.float32)
    view = Preprocessing((32, 48)).view(48, 32)
    drawn = drawn_evenly(np.zeros((32, 48, 3), np.uint8), values, view, (48, 32), strength=1)
    levels = (values / values.max() * 255 + 0.5).astype(np.uint8)
    expected = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(drawn, expected)


class TestAThumbnail:
    @pytest.mark.parametrize(
        ("size", "shape"),
        [((1024, 512), (256, 512, 3)), ((100, 50), (50, 100, 3)), ((5000, 2), (1, 512, 3)),
         ((3, 6000), (512, 1, 3))],
    )  # fmt: skip
    def test_keeps_the_proportions_and_is_never_enlarged(self, size, shape):
        assert thumbnail(Image.new("RGB", size)).shape == shape

    def test_stays_in_register(self):
        pixels = np.zeros((1000, 2000, 3), np.uint8)
        pixels[300:340, 1500:1540] = 255
        x, y = brightest(thumbnail(Image.fromarray(pixels)))
        assert abs(x - 1520 * 0.256) < 1
        assert abs(y - 320 * 0.256) < 1


class TestWriting:
    @pytest.mark.parametrize(("ending", "tolerance"), [(".png", 0), (".jpg", 12)])
    def test_gives_back_the_image_in_the_right_colours(self, tmp_path, ending, tolerance):
        image = np.zeros((32, 48, 3), np.uint8)
        image[:, :24] = (250, 60, 10)
        write_image(tmp_path / f"a{ending}", image)
        read = np.asarray(Image.open(tmp_path / f"a{ending}"))[:, 4:20].astype(int)
        assert abs(read - image[:, 4:20]).max() <= tolerance

    def test_to_where_it_cannot_be_says_so(self, tmp_path):
        with pytest.raises(DiskError, match=r"Expected to write .*gone.*: No such file"):
            write_image(tmp_path / "gone" / "a.png", np.zeros((4, 4, 3), np.uint8))
