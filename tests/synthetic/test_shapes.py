"""Other shapes of features: the same scene with the same thing drawn another way."""

import re
from pathlib import Path

import numpy as np
import pytest

from xattn.errors import UsageError
from xattn.synthetic import (
    FEATURES,
    SHAPES,
    Plan,
    render,
    with_features,
    with_shapes,
    without_features,
)

SIZE = (64, 80)
SPECS = [Plan(6, effects={}, prevalence=dict.fromkeys(FEATURES, 0.3)).draw(i) for i in range(3)]
PAGE = Path(__file__).parents[2] / "docs" / "synthesize.md"


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_leaves_an_exact_mask_and_is_not_the_usual_one(name):
    of = SHAPES[name].of
    for plain in SPECS:
        usual = with_features(plain, of)
        shaped = render(with_shapes(usual, name), SIZE)
        without = render(without_features(usual, of), SIZE)
        differs = (shaped.image != without.image).any(axis=2)
        assert np.array_equal(shaped.masks[of], differs)
        assert 4 <= differs.sum() < 0.6 * differs.size
        assert (shaped.image != render(usual, SIZE).image).any()


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_what_is_not_there_changes_nothing(name):
    plain = without_features(SPECS[0], SHAPES[name].of)
    assert (render(with_shapes(plain, name), SIZE).image == render(plain, SIZE).image).all()


def test_strokes_of_the_bold_ruler_are_a_pixel_wide_where_those_of_the_usual_are_not():
    def darkest(spec):
        rendered = render(spec, SIZE)
        without = render(without_features(spec, "ruler"), SIZE)
        change = without.image.astype(int) - rendered.image
        return change.mean(axis=2).max() / without.image.mean()

    for plain in SPECS:
        usual = with_features(plain, "ruler")
        assert darkest(usual) < 0.5 < darkest(with_shapes(usual, "bold-ruler"))


def test_a_feature_has_one_shape_and_a_shape_a_name():
    with pytest.raises(UsageError, match=r"Unknown shape 'square-patch'; .*square-patches"):
        with_shapes(SPECS[0], "square-patch")
    SHAPES.add("other-ink", SHAPES["dotted-ink"])
    try:
        with pytest.raises(UsageError, match=r"one shape of ink, but got 'dotted-ink' and 'other"):
            with_shapes(SPECS[0], "dotted-ink", "other-ink")
    finally:
        del SHAPES["other-ink"]


def test_the_page_names_every_shape():
    part = PAGE.read_text(encoding="utf-8").partition("## Other shapes")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([\w-]+)`", part.partition("|---|")[2])) == set(SHAPES)
