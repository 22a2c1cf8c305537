from __future__ import annotations

import numpy as np
import pytest

from xattn.synthetic.brush import Brush, curve, turned
from xattn.synthetic.layers import Frame

FRAME = Frame(0, 0, (40, 60), 60)


def test_a_dot_covers_its_area_around_its_centre():
    brush = Brush(FRAME)
    brush.dot(30.0, 12.0, 6.0)
    alpha = brush.coverage()
    assert alpha.sum() == pytest.approx(np.pi * 36, rel=0.1)
    rows, cols = np.indices(alpha.shape)
    assert (alpha * cols).sum() / alpha.sum() == pytest.approx(30.0, abs=0.2)
    assert (alpha * rows).sum() / alpha.sum() == pytest.approx(12.0, abs=0.2)


def test_a_brush_over_a_window_draws_what_one_over_the_image_draws_there():
    whole, part = Brush(FRAME), Brush(Frame(5, 20, (30, 35), 60))
    for brush in (whole, part):
        brush.dot(33.5, 14.25, 7.0)
        brush.line(np.array([[10.0, 3.0], [50.0, 37.0]]), 2.0)
        brush.strokes(np.array([[[22.0, 30.0], [30.0, 28.0], [40.0, 30.0]]]), np.full((1, 3), 3.0))
    assert np.array_equal(part.coverage(), whole.coverage()[5:35, 20:55])


def test_a_stroke_is_as_wide_as_asked_and_crossings_do_not_cancel_out():
    brush = Brush(FRAME)
    across = np.stack([np.linspace(5, 55, 9), np.full(9, 20.0)], axis=1)
    down = np.stack([np.full(9, 30.0), np.linspace(5, 35, 9)], axis=1)
    brush.strokes(np.stack([across, down]), np.full((2, 9), 4.0))
    alpha = brush.coverage()
    assert alpha[:, 15].sum() == pytest.approx(4.0, abs=0.5)
    assert alpha[20, 30] == 1


def test_a_curve_starts_and_ends_at_its_corners_and_leans_to_the_middle_one():
    points = curve(np.array([[0.0, 0.0], [4.0, 8.0], [8.0, 0.0]]), 5)
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [8, 0]
    assert points[2].tolist() == [4, 4]


def test_turning_keeps_distances_and_carries_the_point_along():
    points = np.array([[3.0, 0.0], [0.0, 0.0]])
    moved = turned(points, 90, np.zeros(2), np.array([10.0, 10.0]))
    assert np.allclose(moved, [[10, 13], [10, 10]])  # clockwise on a screen, where y points down
