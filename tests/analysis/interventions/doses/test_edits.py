"""Graded edits of generated images: what they do to their feature, and their controls not."""

import numpy as np
import pytest

from xattn.analysis.interventions.doses.registry import GRADED_EDITS, Altered, DoseCase
from xattn.analysis.interventions.pixels import widened
from xattn.features.computed import COMPUTED_FEATURES, Subject
from xattn.synthetic import Plan, render, with_features

IMAGES = 4
OF_LESIONS = [name for name, edit in GRADED_EDITS.items() if not edit.kinds]


@pytest.fixture(scope="module")
def cases():
    """Generated images with a lesion that the border of the image does not cut."""
    plan, found, i = Plan(3), [], 0
    while len(found) < IMAGES:
        rendered = render(with_features(plan.draw(i), "ink"), (112, 144))
        i += 1
        blocked = np.any([rendered.lesion, *rendered.masks.values()], axis=0)
        case = DoseCase(
            rendered.image, rendered.lesion, rendered.lesion, ~widened(blocked), False,
            np.random.default_rng(i),
        )  # fmt: skip
        if not case.subject.cut and 0.03 < rendered.lesion.mean() < 0.2 and case.shift:
            found.append((case, rendered.masks["ink"]))
    return found


def prepared(name, cases):
    """Give each case an edit of lesions suits, and the edit of it."""
    for case, _ in cases:
        dosed = GRADED_EDITS[name].prepare(case)
        if dosed is not None:
            yield case, dosed


def value(name, case, altered: Altered):
    edit = GRADED_EDITS[name]
    lesion = case.lesion if altered.lesion is None else altered.lesion
    subject = Subject(case.taken(altered), lesion)
    return (edit.measure or COMPUTED_FEATURES[edit.feature])(subject)


@pytest.mark.parametrize("name", OF_LESIONS)
def test_a_dose_of_nothing_changes_nothing(name, cases):
    for case, dosed in prepared(name, cases):
        assert (case.taken(dosed.edit(0.0)) == case.pixels).all()
        assert (case.taken(dosed.control(0.0)) == case.pixels).all()


@pytest.mark.parametrize("name", OF_LESIONS)
def test_the_feature_follows_the_dose(name, cases):
    doses = sorted([*GRADED_EDITS[name].doses, 0.0])
    found = [
        [value(name, case, dosed.edit(dose)) for dose in doses]
        for case, dosed in prepared(name, cases)
    ]
    assert found
    # A count of eighths beyond a threshold, and a shape on a grid of pixels, may fall back a step.
    slack = {"border-sharpness": 0.13, "shape-asymmetry": 0.02}.get(name, 1e-6)
    assert (np.diff(found, axis=1) >= -slack).all()
    assert (np.diff(np.mean(found, axis=0)) >= -1e-6).all()
    assert (np.ptp(found, axis=1) > 0).any()


@pytest.mark.parametrize("name", OF_LESIONS)
def test_the_control_leaves_the_feature(name, cases):
    last = GRADED_EDITS[name].doses[-1]
    edits, controls = [], []
    for case, dosed in prepared(name, cases):
        before = value(name, case, Altered(case.image))
        edits.append(value(name, case, dosed.edit(last)) - before)
        controls.append(value(name, case, dosed.control(last)) - before)
    assert abs(np.mean(controls)) < 0.25 * abs(np.mean(edits))


def test_an_artifact_fades_in_proportion_to_the_dose_and_its_control_leaves_it(cases):
    for case, ink in cases:
        own = DoseCase(case.pixels, ink, case.lesion, case.skin, False, np.random.default_rng(0))
        dosed = GRADED_EDITS["opacity"].prepare(own)
        whole, half = (dosed.edit(dose).image - own.image for dose in (-1.0, -0.5))
        np.testing.assert_allclose(half, whole / 2, atol=1e-3)
        assert (case.taken(dosed.edit(0.0)) == case.pixels).all()
        assert np.abs(whole[ink]).mean() > 5 * np.abs(whole[~widened(ink, 4)]).mean()
        assert (case.taken(dosed.control(-1.0)) == case.pixels)[ink].mean() > 0.9


def test_asymmetry_of_colours_is_changed_and_their_variance_kept(cases):
    for case, dosed in prepared("colour-asymmetry", cases):
        spread = COMPUTED_FEATURES["colour_variance"]
        after = Subject(case.taken(dosed.edit(-0.8)), case.lesion)
        assert spread(after) == pytest.approx(spread(case.subject), rel=0.15)


def test_every_graded_edit_says_what_it_does_and_has_no_dose_of_nothing():
    for edit in GRADED_EDITS.values():
        assert edit.meaning.endswith(".")
        assert 0 not in edit.doses
        assert list(edit.doses) == sorted(edit.doses)
        assert bool(edit.feature) != bool(edit.kinds)
