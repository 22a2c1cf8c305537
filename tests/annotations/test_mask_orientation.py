"""When a mask lies over its image, and how it is turned."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xattn.annotations.headers import Header
from xattn.annotations.mask_orientation import drawn_over, same_aspect_ratio

sides = st.integers(20, 3000)


@given(sides, sides, st.floats(0.02, 1.0), st.sampled_from([round, int]))
@settings(deadline=None, max_examples=100)
def test_a_scaled_copy_fits_however_its_sides_were_rounded(width, height, scale, rounding):
    small = (max(1, rounding(width * scale)), max(1, rounding(height * scale)))
    assert same_aspect_ratio(small, (width, height))
    assert same_aspect_ratio((width, height), small)


@given(st.integers(60, 3000), st.integers(60, 3000), st.floats(0.5, 1.0))
@settings(deadline=None, max_examples=100)
def test_a_copy_stretched_by_a_tenth_does_not_fit(width, height, scale):
    stretched = (round(width * scale * 1.1) + 2, round(height * scale))
    assert not same_aspect_ratio(stretched, (width, height))
    assert not same_aspect_ratio((width, height), stretched)


@pytest.mark.parametrize(
    ("mask", "image", "expected"),
    [
        ((256, 171), (256, 171), True),
        ((1022, 680), (256, 170), True),
        ((256, 170), (256, 171), True),
        ((256, 168), (256, 171), False),
        ((224, 224), (256, 171), False),
        ((171, 256), (256, 171), False),
        ((7, 5), (256, 171), True),
    ],
)
def test_known_sizes(mask, image, expected):
    assert same_aspect_ratio(mask, image) is expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_where_a_mask_lies_is_told_by_its_shape(orientation):
    image = Header(20, 30, orientation)
    assert drawn_over(Header(20, 30, 1), image) == "upright"
    stored = "stored" if orientation >= 5 else None
    assert drawn_over(Header(30, 20, 1), image) == stored
    assert drawn_over(Header(30, 20, 6), image) is None, "it has told its own orientation already"
    assert drawn_over(Header(25, 25, 1), image) is None
