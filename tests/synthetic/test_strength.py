"""The same scene with a feature at any strength: true counterfactuals."""

import numpy as np
import pytest

from xattn.errors import UsageError
from xattn.features.computed import Subject
from xattn.synthetic import FEATURES, Plan, render, with_features, with_strength, without_features

SIZE = (80, 104)
SPEC = with_features(Plan(2, effects={}).draw(3), "ink", "hair", "patches")


@pytest.mark.parametrize("name", ["ink", "hair", "patches"])
def test_an_artifact_at_full_opacity_is_the_image_and_at_none_the_image_without_it(name):
    whole = render(SPEC, SIZE).image
    assert (render(with_strength(SPEC, name, 1), SIZE).image == whole).all()
    blank = render(without_features(SPEC, name), SIZE).image
    assert (render(with_strength(SPEC, name, 0), SIZE).image == blank).all()
    half = render(with_strength(SPEC, name, 0.5), SIZE).image
    apart = [np.abs(half.astype(float) - end).mean() for end in (whole, blank)]
    assert 0.2 < apart[0] / sum(apart) < 0.8


def test_light_colour_cast_and_diameter_follow_their_strength():
    def seen(name, strength):
        rendered = render(with_strength(SPEC, name, strength), SIZE)
        subject = Subject(rendered.image, rendered.lesion)
        return subject.light.mean(), subject.lab[..., 2].mean(), rendered.lesion.sum()

    for place, name in enumerate(("light", "colour_cast", "diameter")):
        values = [seen(name, strength)[place] for strength in (-0.1, 0, 0.1)]
        assert values[0] < values[1] < values[2]


def test_what_is_not_changed_stays_to_the_pixel():
    assert (render(with_strength(SPEC, "light", 0), SIZE).image == render(SPEC, SIZE).image).all()


@pytest.mark.parametrize(("name", "strength"), [("ink", 1.5), ("light", -2), ("inc", 0.5)])
def test_there_is_no_strength_beyond_its_range_nor_of_what_is_not_there(name, strength):
    with pytest.raises(UsageError):
        with_strength(SPEC, name, strength)
    assert "inc" not in FEATURES
