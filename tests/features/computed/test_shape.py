import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.computed.shapes import (
    comma,
    disc,
    ellipse,
    half_disc,
    on_skin,
    rectangle,
    star,
)
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError
from xattn.features.computed.shape import (
    box_dimension,
    compactness,
    diameter,
    fractal_dimension,
    lesion_cut,
    shape_asymmetry,
)

SHAPE = (shape_asymmetry, compactness, fractal_dimension, diameter)


@pytest.mark.parametrize("mask", [disc(), ellipse(), ellipse(turn=33), rectangle(90, 50, turn=20)])
def test_a_shape_that_is_its_own_mirror_image_is_symmetric(mask):
    assert shape_asymmetry(on_skin(mask)) < 0.02


def test_a_half_disc_misses_as_much_as_its_overlap_with_its_mirror_image_says():
    # Symmetric about one axis; about the other, at 4 / (3 pi) of the radius, integrate the overlap.
    mask = half_disc()
    rows = np.flatnonzero(mask.any(axis=1))
    widths = np.zeros(600)
    widths[200 + rows] = mask[rows].sum(axis=1)
    middle = 200 + np.argwhere(mask)[:, 0].mean()
    mirrored = np.interp(2 * middle - np.arange(600), np.arange(600), widths)
    expected = 0.5 * (1 - np.minimum(widths, mirrored).sum() / mask.sum())
    assert shape_asymmetry(on_skin(mask)) == pytest.approx(expected, abs=0.01)
    assert expected > 0.05


def test_a_comma_is_less_symmetric_than_an_ellipse():
    assert shape_asymmetry(on_skin(comma())) > 5 * shape_asymmetry(on_skin(ellipse()))


@pytest.mark.parametrize(
    ("mask", "expected", "tolerance"),
    [
        (disc(), 1.0, 0.015),
        (disc(15), 1.0, 0.02),
        (rectangle(), np.pi / 4, 0.015),
        (rectangle(turn=30), np.pi / 4, 0.015),
        (rectangle(90, 30), np.pi * 90 * 30 / (90 + 30) ** 2, 0.015),
    ],
)
def test_compactness_is_that_of_the_ideal_shape(mask, expected, tolerance):
    assert compactness(on_skin(mask)) == pytest.approx(expected, abs=tolerance)


def test_compactness_of_a_star_is_that_of_its_curve():
    angle = np.linspace(0, 2 * np.pi, 20_001)
    radius = 60 + 25 * np.cos(5 * angle)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    length = np.hypot(np.diff(x), np.diff(y)).sum()
    area = 0.5 * np.sum(radius[:-1] ** 2 * np.diff(angle))
    expected = 4 * np.pi * area / length**2
    assert compactness(on_skin(star())) == pytest.approx(expected, rel=0.03)


@settings(deadline=None, max_examples=12)
@given(turn=st.floats(0, 360), x=st.floats(-8, 8), y=st.floats(-8, 8))
def test_turning_and_moving_a_lesion_changes_no_shape(turn, x, y):
    still, moved = on_skin(comma()), on_skin(comma(turn=turn, shift=(x, y)))
    for measure, tolerance in zip(SHAPE, (0.015, 0.015, 0.08, 0.008), strict=True):
        assert measure(moved) == pytest.approx(measure(still), abs=tolerance), measure.__name__


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, lambda m: m.T])
def test_mirroring_a_lesion_changes_no_shape(flip):
    mask = comma()
    for measure, tolerance in zip(SHAPE, (0.005, 1e-6, 0.03, 1e-6), strict=True):
        mirrored = on_skin(np.ascontiguousarray(flip(mask)))
        assert measure(mirrored) == pytest.approx(measure(on_skin(mask)), abs=tolerance)


def carpet(depth: int) -> np.ndarray:
    """Sierpinski's carpet, points (n, 2) of a grid of 3^depth."""
    filled = np.ones((1, 1), bool)
    for _ in range(depth):
        rows = [np.hstack([filled] * 3), np.hstack([filled, np.zeros_like(filled), filled])]
        filled = np.vstack([rows[0], rows[1], rows[0]])
    return np.argwhere(filled).astype(float)


def snowflake(depth: int) -> np.ndarray:
    """Koch's snowflake, points densely along it (n, 2), in a unit square."""
    corner = np.exp(2j * np.pi * np.arange(4) / 3)
    for _ in range(depth):
        step = np.diff(corner) / 3
        start = corner[:-1]
        peak = start + step + step * np.exp(-1j * np.pi / 3)
        parts = np.stack([start, start + step, peak, start + 2 * step], axis=1)
        corner = np.append(parts.ravel(), corner[-1])
    dense = (corner[:-1, None] + np.diff(corner)[:, None] * np.linspace(0, 1, 8)).ravel()
    return np.stack([dense.real, dense.imag], axis=1)


@pytest.mark.parametrize(
    ("points", "sizes", "dimension", "tolerance"),
    [
        (np.linspace([0, 0], [1, 0.37], 5000), 2.0 ** -np.arange(2, 7), 1.0, 0.03),
        (np.argwhere(np.ones((256, 256))).astype(float), 2.0 ** np.arange(1, 5), 2.0, 0.1),
        (carpet(5), 3.0 ** np.arange(0, 4), np.log(8) / np.log(3), 0.1),
        (snowflake(6), 3.0 ** -np.arange(2, 5), np.log(4) / np.log(3), 0.06),
    ],
    ids=["line", "plane", "carpet", "snowflake"],
)
def test_counting_boxes_finds_the_dimension_of_known_sets(points, sizes, dimension, tolerance):
    assert box_dimension(points, sizes) == pytest.approx(dimension, abs=tolerance)


def test_a_ragged_border_has_a_higher_dimension_than_a_smooth_one():
    points = (snowflake(5) * 90 + 128).round().astype(np.int32)
    ragged = cv2.fillPoly(np.zeros((256, 256), np.uint8), [points], 1).astype(bool)
    smooth = fractal_dimension(on_skin(disc(90)))
    assert smooth == pytest.approx(1.0, abs=0.05)
    assert fractal_dimension(on_skin(ragged)) > smooth + 0.08


def test_the_diameter_is_the_longest_chord_over_the_long_side():
    assert diameter(on_skin(disc(60))) == pytest.approx(120 / 256, abs=0.005)
    assert diameter(on_skin(rectangle(60, 40))) == pytest.approx(
        2 * np.hypot(60, 40) / 256, abs=0.01
    )
    wide = on_skin(np.pad(disc(60), ((0, 0), (0, 256))))
    assert diameter(wide) == pytest.approx(120 / 512, abs=0.005)


def test_a_lesion_that_reaches_the_edge_has_no_shape_but_is_known_to_be_cut():
    cut = on_skin(disc(60, shift=(90.0, 0.0)))
    assert lesion_cut(cut) == 1
    assert lesion_cut(on_skin(disc())) == 0
    for name in ("shape_asymmetry", "compactness", "fractal_dimension", "diameter"):
        with pytest.raises(UnmeasurableError, match="edge of the image"):
            COMPUTED_FEATURES[name](cut)


def test_too_small_a_lesion_has_no_fractal_dimension():
    with pytest.raises(UnmeasurableError, match="64 pixels"):
        fractal_dimension(on_skin(disc(25)))


@pytest.mark.parametrize(
    ("mask", "reason"),
    [(np.zeros((64, 64), bool), "empty"), (disc(3), "fewer than 100 pixels")],
)
@pytest.mark.parametrize("name", [n for n, one in COMPUTED_FEATURES.items() if one.needs_lesion])
def test_nothing_is_measured_without_a_lesion(mask, reason, name):
    with pytest.raises(UnmeasurableError, match=reason):
        COMPUTED_FEATURES[name](on_skin(mask))


def test_only_the_largest_part_of_a_mask_is_the_lesion():
    alone, specks = disc(60), disc(60)
    specks[5:9, 5:9] = True
    specks[240:, 3] = True
    for measure in (*SHAPE, lesion_cut):
        assert measure(on_skin(specks)) == measure(on_skin(alone))


def test_a_subject_keeps_its_image_unchanged():
    subject = on_skin(comma())
    before = subject.pixels.copy()
    for card in COMPUTED_FEATURES.values():
        card(Subject(subject.pixels, subject.mask))
    assert (subject.pixels == before).all()
