"""Maps, masks and images stay in register, whatever their sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xattn.images import Preprocessing, View, sample_mask

small = st.integers(1, 40)


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 100 + width).random((height, width)) < 0.5


def _decided(centres: np.ndarray) -> np.ndarray:
    """Sampling points off the borders between pixels, where the nearest one is not a tie."""
    return np.abs(centres - np.round(centres)) > 1e-3


class TestSampleMask:
    @given(small, small)
    @settings(deadline=None, max_examples=30)
    def test_the_whole_image_at_its_own_size_is_the_mask_itself(self, height, width):
        mask = _noise(height, width)
        view = View((0, 0, width, height), height, width)
        assert np.array_equal(sample_mask(mask, view, (width, height)), mask)

    @given(small, small, small, small, st.integers(1, 5))
    @settings(deadline=None, max_examples=40)
    def test_a_mask_blown_up_by_a_whole_factor_is_sampled_alike(self, h, w, height, width, factor):
        mask = _noise(h, w)
        blown = mask.repeat(factor, 0).repeat(factor, 1)
        view = View((0, 0, w, h), height, width)
        assert np.array_equal(sample_mask(mask, view, (w, h)), sample_mask(blown, view, (w, h)))

    @given(small, small, small, small)
    @settings(deadline=None, max_examples=40)
    def test_mirroring_the_mask_mirrors_the_sample(self, h, w, height, width):
        mask, view = _noise(h, w), View((0, 0, 64, 48), height, width)
        decided = _decided((np.arange(width) + 0.5) * w / width)
        got = sample_mask(mask[:, ::-1], view, (64, 48))[:, decided]
        assert np.array_equal(got, sample_mask(mask, view, (64, 48))[:, ::-1][:, decided])

    @given(st.integers(8, 60), st.integers(8, 60), st.integers(4, 24), st.integers(1, 3))
    @settings(deadline=None, max_examples=60)
    @pytest.mark.parametrize("mode", ["squash", "crop"])
    def test_a_mask_follows_its_image_into_the_models_input(self, mode, width, height, side, scale):
        """Reading a mask there equals the model's own pixels of an image it is painted into."""
        mask = _noise(height, width)
        painted = Image.fromarray(mask.astype(np.uint8)[..., None].repeat(3, 2) * 255)
        size = (side, side + 3)
        resize = side + 5 if mode == "crop" else None
        prep = Preprocessing(size, mode, resize, interpolation="nearest")
        view = prep.view(width, height)
        finer = mask.repeat(scale, 0).repeat(scale, 1)
        got, seen = sample_mask(finer, view, (width, height)), prep.pixels(painted)[..., 0] > 127
        left, top, right, bottom = view.box
        rows = _decided(top + (np.arange(size[0]) + 0.5) * (bottom - top) / size[0])
        cols = _decided(left + (np.arange(size[1]) + 0.5) * (right - left) / size[1])
        assert np.array_equal(got[rows][:, cols], seen[rows][:, cols])

    def test_height_and_width_are_not_swapped(self):
        mask = np.zeros((10, 40), bool)
        mask[:, 30:] = True
        got = sample_mask(mask, View((20, 0, 40, 10), 4, 8), (40, 10))
        assert got.shape == (4, 8)
        assert got.tolist() == [[False] * 4 + [True] * 4] * 4
