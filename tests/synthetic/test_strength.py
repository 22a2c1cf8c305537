"""The same scene with a feature at any strength: true counterfactuals."""

import numpy as np
import pytest

from xattn.analysis.interventions.pixels import widened
from xattn.errors import UsageError
from xattn.features.computed import COMPUTED_FEATURES, Subject
from xattn.synthetic import (
    FEATURES,
    Plan,
    render,
    with_features,
    with_placing,
    with_strength,
    without_features,
)
from xattn.synthetic.features import OF_THE_IMAGE

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


LESION = Plan(2, effects={}, prevalence=dict.fromkeys(FEATURES, 0)).draw(9)
ORDERS = {
    "shape_asymmetry": ("shape_asymmetry", (-1, 1, 4)),
    "colour_variance": ("colour_variance", (-0.9, 0, 1)),
    "colour_asymmetry": ("colour_asymmetry", (-1, 0, 0.95)),
    "border_sharpness": ("abrupt_border", (-0.7, 0, 3)),
}


@pytest.mark.parametrize("name", ORDERS)
def test_what_is_measured_of_a_lesion_follows_its_strength(name):
    feature, strengths = ORDERS[name]
    bare = Plan(2, effects={}, prevalence=dict.fromkeys(FEATURES, 0))
    values = []
    for i in range(12):
        altered = [with_strength(bare.draw(i), name, strength) for strength in strengths]
        subjects = [Subject(r.image, r.lesion) for r in (render(spec) for spec in altered)]
        if not any(subject.cut for subject in subjects):
            values.append([COMPUTED_FEATURES[feature](subject) for subject in subjects])
    assert len(values) > 6
    assert (np.diff(np.mean(values, axis=0)) > 0).all()


@pytest.mark.parametrize("name", [*OF_THE_IMAGE, "lesion"])
def test_strengths_have_their_range_and_leave_the_lesion_or_all_else_as_it_is(name):
    low, high = OF_THE_IMAGE.get(name, (0, 1))
    plain = render(LESION, SIZE)
    for strength in (low, high):
        other = render(with_strength(LESION, name, strength), SIZE)
        assert other.image.shape == plain.image.shape
        if name not in ("light", "colour_cast"):
            far = ~(widened(plain.lesion, 2) | widened(other.lesion, 2))
            assert (other.image[far] == plain.image[far]).all()
    for strength in (low - 0.1, high + 0.1):
        with pytest.raises(UsageError, match="in \\["):
            with_strength(LESION, name, strength)


def test_a_lesion_that_is_not_shown_leaves_the_skin_and_the_artifacts():
    spec = with_features(SPEC, *(n for n, one in FEATURES.items() if one.kind == "structure"))
    bare, whole = render(with_strength(spec, "lesion", 0), SIZE), render(spec, SIZE)
    assert not bare.lesion.any()
    structures = [whole.masks[n] for n, one in FEATURES.items() if one.kind == "structure"]
    changed = (bare.image != whole.image).any(axis=2)
    assert changed.any()
    assert not (changed & ~np.any([whole.lesion, *structures], axis=0)).any()


@pytest.mark.parametrize("name", [n for n, one in FEATURES.items() if one.kind == "artifact"])
def test_an_artifact_stays_in_place_when_the_lesion_is_altered(name):
    spec = with_features(LESION, name)
    masks = [
        render(with_strength(spec, "diameter", more), SIZE).masks[name] for more in (-0.3, 0, 0.3)
    ]
    both, either = np.all(masks, axis=0), np.any(masks, axis=0)
    assert both.sum() > 0.9 * either.sum()  # where it lies on the lesion, a level may be the same


@pytest.mark.parametrize("name", [n for n, one in FEATURES.items() if one.kind == "artifact"])
def test_a_borrowed_artifact_lies_where_it_lies_in_the_other_image(name):
    donor = with_features(Plan(3, effects={}).draw(4), name)
    there = render(donor, SIZE).masks[name]
    plain, here = render(LESION, SIZE), render(LESION, SIZE, {name: donor})
    changed = (plain.image != here.image).any(axis=2)
    assert (changed == here.masks[name]).all()
    assert (changed & there).sum() > 0.9 * (changed | there).sum()


def test_what_is_not_changed_stays_to_the_pixel():
    assert (render(with_strength(SPEC, "light", 0), SIZE).image == render(SPEC, SIZE).image).all()


@pytest.mark.parametrize(("name", "strength"), [("ink", 1.5), ("light", -2), ("inc", 0.5)])
def test_there_is_no_strength_beyond_its_range_nor_of_what_is_not_there(name, strength):
    with pytest.raises(UsageError):
        with_strength(SPEC, name, strength)
    assert "inc" not in FEATURES


@pytest.mark.parametrize("name", ["ink", "patches", "ruler"])
def test_an_artifact_is_drawn_larger_or_elsewhere_and_all_else_stays(name):
    spec = with_features(Plan(2, effects={}).draw(3), name)
    before = render(spec, SIZE)
    assert (render(with_placing(spec, name), SIZE).image == before.image).all()
    smaller, larger = (render(with_placing(spec, name, size=s), SIZE) for s in (-0.4, 0.4))
    areas = [one.masks[name].sum() for one in (smaller, before, larger)]
    assert areas[0] < 0.75 * areas[1]
    assert areas[2] > 1.25 * areas[1]
    moved = render(with_placing(spec, name, right=0.05, down=-0.02), SIZE)
    places = [np.argwhere(one.masks[name]).mean(axis=0) for one in (before, moved)]
    assert places[1][1] > places[0][1]
    apart = ~(before.masks[name] | moved.masks[name])
    assert (moved.image == before.image)[apart].all()


def test_only_artifacts_are_put_elsewhere_and_something_of_them_is_left():
    with pytest.raises(UsageError, match="structure 'globules'"):
        with_placing(SPEC, "globules", right=0.1)
    with pytest.raises(UsageError, match="size above -1"):
        with_placing(SPEC, "ink", size=-1)
