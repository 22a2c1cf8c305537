import numpy as np
import pytest
from scipy import ndimage

from xattn.features.detected.parts import parts_of


def test_parts_are_those_of_a_slow_count():
    mask = np.random.default_rng(0).random((40, 50)) < 0.3
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    parts = parts_of(mask)
    assert len(parts.area) == count
    assert sorted(parts.area) == sorted(ndimage.sum_labels(mask, labels, range(1, count + 1)))
    assert (parts.mask(np.ones(count, bool)) == mask).all()
    assert not parts.mask(np.zeros(count, bool)).any()


def test_sides_are_those_of_a_turned_bar():
    rows, cols = np.mgrid[:120, :120] - 60
    for turn in (0, 25, 60, 90):
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        parts = parts_of((abs(c * cols + s * rows) < 40) & (abs(c * rows - s * cols) < 4))
        assert parts.length[0] == pytest.approx(80, abs=1.5)
        assert parts.width[0] == pytest.approx(8, abs=1.2)


def test_an_empty_mask_has_no_parts():
    parts = parts_of(np.zeros((5, 6), bool))
    assert len(parts.area) == len(parts.length) == 0
    assert not parts.mask(np.zeros(0, bool)).any()
