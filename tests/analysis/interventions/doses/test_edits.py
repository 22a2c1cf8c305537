"""Graded edits of generated images: what they do to their feature, and their controls not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.interventions.doses.scenes import (
    IN_TISSUE,
    OF_IMAGES,
    cases_of,
    changes,
    doses_of,
    lesions,
    prepared,
    tissue,
    values,
)
from xattn.analysis.interventions.doses.registry import GRADED_EDITS, DoseCase
from xattn.analysis.interventions.pixels import widened
from xattn.features.computed import COMPUTED_FEATURES, Subject


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_dose_of_nothing_changes_nothing(name):
    assert prepared(name)
    for case, dosed in prepared(name):
        before = case.pixels.copy()
        assert (case.taken(dosed.edit(0.0)) == before).all()
        assert (case.taken(dosed.control(0.0)) == before).all()
        dosed.edit(GRADED_EDITS[name].doses[0])
        assert (case.pixels == before).all()  # it makes a new one


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name not in IN_TISSUE])
def test_the_feature_follows_the_dose(name):
    found, _ = values(name)
    # A count of eighths beyond a threshold, and a shape on a grid of pixels, may fall back a step.
    slack = {"border-sharpness": 0.13, "shape-asymmetry": 0.02}.get(name, 1e-6)
    assert (np.diff(found, axis=1) >= -slack).all()
    assert (np.diff(np.mean(found, axis=0)) >= -1e-6).all()
    assert (np.ptp(found, axis=1) > 0).any()


@pytest.mark.parametrize("name", IN_TISSUE)
def test_the_feature_of_tissue_follows_the_dose_in_most_images(name):
    found, _ = values(name)
    assert len(found) >= 4  # the others have no room, or too few nuclei
    # Nuclei that touch are parted at other places once they are larger, smaller or more.
    assert (np.diff(found, axis=1) >= 0).mean() > 0.75
    mean = found.mean(axis=0)
    middle = doses_of(name).index(0.0)
    assert mean[0] < mean[middle] < mean[-1]
    assert (found[:, -1] > found[:, 0]).mean() > 0.7


@pytest.mark.parametrize("name", OF_IMAGES)
def test_the_control_leaves_the_feature(name):
    edits, controls = values(name)
    followed, stayed = (
        abs((found[:, -1] - found[:, 0]).mean()) for found in (edits, controls)
    )  # what a slope is made of
    assert stayed < 0.25 * followed


@pytest.mark.parametrize("name", OF_IMAGES)
def test_the_control_changes_the_image_as_much(name):
    ratios = [of_control / of_edit for of_edit, of_control in changes(name)]
    assert 0.6 < np.median(ratios) < 1.7, np.median(ratios)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_grey_image_is_edited_or_left_out_and_keeps_its_shape(name):
    for case in cases_of(name):
        grey = np.repeat(case.pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
        edit = GRADED_EDITS[name]
        for pixels in (grey, grey[..., :1]) if edit.whole and not edit.domains else (grey,):
            dosed = edit.prepare(replace(case, pixels=pixels))
            if dosed is not None:
                assert dosed.edit(edit.doses[0]).image.shape == pixels.shape


@pytest.mark.parametrize("name", IN_TISSUE)
def test_glass_without_nuclei_has_none_to_edit(name):
    glass = np.full((64, 64, 3), (238, 236, 240), np.uint8)
    glass[::2] -= 1
    dosed = GRADED_EDITS[name].prepare(replace(tissue()[0], pixels=glass, artifacts=None))
    assert (dosed is None) == (name in {"nuclear-size", "nuclear-density"})


def test_nuclei_under_an_artifact_are_left_alone():
    for name in ("nuclear-size", "nuclear-density"):
        covered = [(case, dosed) for case, dosed in prepared(name) if case.artifacts is not None]
        assert covered
        for case, dosed in covered:
            for do in (dosed.edit, dosed.control):
                changed = case.taken(do(GRADED_EDITS[name].doses[-1])) != case.pixels
                assert not changed[case.artifacts].any()
                assert changed.any()


def test_an_artifact_fades_in_proportion_to_the_dose_and_its_control_leaves_it():
    for case, ink in lesions():
        own = DoseCase(case.pixels, ink, case.lesion, case.skin, False, np.random.default_rng(0))
        dosed = GRADED_EDITS["opacity"].prepare(own)
        whole, half = (dosed.edit(dose).image - own.image for dose in (-1.0, -0.5))
        np.testing.assert_allclose(half, whole / 2, atol=1e-3)
        assert (case.taken(dosed.edit(0.0)) == case.pixels).all()
        assert np.abs(whole[ink]).mean() > 5 * np.abs(whole[~widened(ink, 4)]).mean()
        assert (case.taken(dosed.control(-1.0)) == case.pixels)[ink].mean() > 0.9


def test_asymmetry_of_colours_is_changed_and_their_variance_kept():
    for case, dosed in prepared("colour-asymmetry"):
        spread = COMPUTED_FEATURES["colour_variance"]
        after = Subject(case.taken(dosed.edit(-0.8)), case.lesion)
        assert spread(after) == pytest.approx(spread(case.subject), rel=0.15)


def test_every_graded_edit_says_what_it_does_and_has_no_dose_of_nothing():
    for edit in GRADED_EDITS.values():
        assert edit.meaning.endswith(".")
        assert 0 not in edit.doses
        assert list(edit.doses) == sorted(edit.doses)
        assert bool(edit.feature) != bool(edit.kinds)
