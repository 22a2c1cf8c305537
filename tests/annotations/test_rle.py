"""Run lengths mean to us what they mean to COCO's own code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from xattn.annotations import rle

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def _blobs(seed: int, height: int, width: int) -> np.ndarray:
    """A mask with runs of many lengths, as real ones have."""
    rng = np.random.default_rng(seed)
    noise = rng.random((height // 8 + 1, width // 8 + 1)) < 0.4
    return noise.repeat(8, 0).repeat(8, 1)[:height, :width]


@given(masks)
@settings(deadline=None, max_examples=80)
def test_what_is_encoded_comes_back(mask):
    entry = rle.encode(mask)
    assert np.array_equal(rle.decode(tuple(entry["size"]), entry["counts"]), mask)


@given(masks)
@settings(deadline=None, max_examples=80)
def test_numbers_and_compressed_text_say_the_same(mask):
    # Slow twin: count the runs down the columns, beginning with zeros.
    counts, current, run = [], False, 0
    for value in mask.T.ravel().tolist():
        if value != current:
            counts.append(run)
            current, run = value, 0
        run += 1
    counts.append(run)
    assert np.array_equal(rle.decode(mask.shape, counts), mask)
    assert rle.run_lengths(mask.shape, rle.encode(mask)["counts"]).tolist() == counts


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (171, 256), (1500, 1001)])
def test_pycocotools_reads_and_writes_the_same(shape):
    mask = _blobs(0, *shape)
    entry = rle.encode(mask)
    assert np.array_equal(coco.decode(entry).astype(bool), mask)
    runs = rle.run_lengths(shape, entry["counts"])
    again = coco.frPyObjects({"size": list(shape), "counts": runs.tolist()}, *shape)
    assert again["counts"].decode() == entry["counts"]


@pytest.mark.parametrize("value", [False, True])
def test_an_empty_and_a_full_mask_come_back(value):
    mask = np.full((13, 7), value)
    entry = rle.encode(mask)
    assert np.array_equal(rle.decode((13, 7), entry["counts"]), mask)


def test_a_decoded_mask_lies_in_memory_row_by_row():
    assert rle.decode((2, 3), [1, 2, 3]).flags.c_contiguous


class TestBadRunLengths:
    @pytest.mark.parametrize(
        ("wrong", "right", "words"),
        [
            ([1, 2, 2], [1, 2, 3], "fill 2 x 3 = 6 pixels, but got 5"),
            ([1, 2, 4], [1, 2, 3], "fill 2 x 3 = 6 pixels, but got 7"),
            ([], [6], "but got 0"),
            ([8, -2], [0, 6], "of 0 or more, but got -2"),
            ("", "6", "but got 0"),
            ("123!", "123", "other text"),
            ("12é", "123", "other text"),
            ("12o", "123", "other text"),
            ("1230", "123", "of 0 or more|fill"),
            ("o" * 9 + "0", "6", "longer number"),
        ],
    )
    def test_they_are_refused_and_their_neighbour_is_not(self, wrong, right, words):
        with pytest.raises(ValueError, match=words):
            rle.decode((2, 3), wrong)
        assert rle.decode((2, 3), right).shape == (2, 3)

    @given(st.text(max_size=12))
    @settings(deadline=None, max_examples=100)
    def test_any_text_gives_a_mask_or_a_plain_error(self, text):
        try:
            mask = rle.decode((5, 4), text)
        except ValueError as err:
            assert "Expected" in str(err)  # noqa: PT017
        else:
            assert mask.shape == (5, 4)
