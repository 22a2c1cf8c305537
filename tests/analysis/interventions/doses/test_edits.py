"""Graded edits of generated images: what they do to their feature, and their controls not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.interventions.doses.scenes import (
    IN_TISSUE,
    OF_ARTIFACTS,
    OF_IMAGES,
    cases_of,
    changes,
    doses_of,
    lesions,
    place_of,
    prepared,
    tissue,
    values,
    with_artifact,
)
from xattn.analysis.interventions.doses.nuclei import Lifted, nuclei_of
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


def test_a_nucleus_that_is_moved_out_of_the_image_leaves_the_tissue_beneath():
    case = next(case for case in tissue() if case.artifacts is None)
    nuclei = nuclei_of(case)
    lifted = Lifted(case, nuclei)
    for shift in ((500.0, 0.0), (0.0, -500.0), (-95.0, 90.0)):
        gone = lifted.put_back((number, shift) for number in range(nuclei.count))
        np.testing.assert_allclose(gone, lifted.blank, atol=1e-2)


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


MOVED = [(name, artifact) for name, found in OF_ARTIFACTS.items() for artifact in found]


@pytest.mark.parametrize(("name", "artifact"), MOVED)
def test_an_artifact_is_scaled_or_moved_by_the_dose_and_its_control_leaves_that(name, artifact):
    doses = doses_of(name)
    found = with_artifact(name, artifact)
    assert len(found) >= 2
    for case, dosed in found:
        assert (case.taken(dosed.edit(0.0)) == case.pixels).all()
        assert (case.taken(dosed.control(0.0)) == case.pixels).all()
        values, controls = (
            np.array([place_of(name, case, do(dose)) for dose in doses])
            for do in (dosed.edit, dosed.control)
        )
        zero = doses.index(0.0)
        wanted = values[zero] * (1 + np.array(doses)) if name == "size" else (
            values[zero] + np.array(doses)
        )  # fmt: skip
        off = 0.1 * values[zero] if name == "size" else 0.36 * max(doses) + 0.005
        assert np.abs(values - wanted).max() < off
        assert (np.diff(values) > 0).all()
        assert np.abs(controls - controls[zero]).max() < 0.5 * np.ptp(values) / 2
        assert abs(controls[-1] - controls[0]) < 0.25 * np.ptp(values)


@pytest.mark.parametrize(("name", "artifact"), [("size", "ink"), ("distance", "ruler")])
def test_an_artifact_is_where_its_mask_says_and_the_image_beneath_is_filled(name, artifact):
    for case, dosed in with_artifact(name, artifact):
        for dose in GRADED_EDITS[name].doses:
            after = dosed.edit(dose)
            left = widened(case.mask, 1) & ~widened(after.mask, 5)
            kept = ~widened(case.mask, 8) & ~widened(after.mask, 11)
            moved = np.abs(after.image - case.image).max(axis=-1)
            assert moved[kept].max() < 0.5  # of 255, rounded away
            if left.sum() > 20:  # skin again, as light as what is around
                assert after.image[left].mean() > case.image[case.mask].mean()
            assert not (after.mask & case.lesion & ~case.mask).sum() > 0.01 * case.lesion.sum()


@pytest.mark.parametrize(("name", "artifact"), [("size", "ruler"), ("distance", "ruler")])
def test_the_control_of_a_moved_artifact_changes_the_image_as_much(name, artifact):
    for case, dosed in with_artifact(name, artifact):
        for dose in GRADED_EDITS[name].doses:
            ratio = np.linalg.norm(dosed.control(dose).image - case.image) / np.linalg.norm(
                dosed.edit(dose).image - case.image
            )
            assert 0.5 < ratio < 1.7


def test_an_artifact_that_cannot_move_is_held_against_a_patch_of_skin_scaled_as_much():
    for case, dosed in with_artifact("size", "patches"):
        changed = np.abs(dosed.control(0.5).image - case.image).max(axis=-1) > 0.5
        assert changed.any()
        assert not changed[case.mask | case.lesion].any()


@pytest.mark.parametrize("artifact", ["hair", "dark_corner"])
@pytest.mark.parametrize("name", list(OF_ARTIFACTS))
def test_what_spans_the_image_is_neither_scaled_nor_moved(name, artifact):
    assert not with_artifact(name, artifact)


def test_an_artifact_on_the_lesion_or_without_a_lesion_has_no_distance():
    case, _ = with_artifact("distance", "ruler")[0]
    prepare = GRADED_EDITS["distance"].prepare
    assert prepare(replace(case, lesion=None)) is None
    over = np.zeros_like(case.lesion)
    rows, cols = np.argwhere(case.lesion).mean(axis=0).astype(int)
    over[rows - 2 : rows + 3, cols - 2 : cols + 3] = True
    assert prepare(replace(case, mask=over)) is None


@pytest.mark.parametrize(("name", "artifact"), [("size", "ruler"), ("distance", "ruler")])
def test_artifacts_move_in_images_of_one_channel_and_of_five(name, artifact):
    case, _ = with_artifact(name, artifact)[0]
    for channels in (1, 5):
        pixels = np.repeat(case.pixels[..., :1], channels, axis=2)
        dosed = GRADED_EDITS[name].prepare(
            replace(case, pixels=pixels, rng=np.random.default_rng(0))
        )
        assert dosed.edit(GRADED_EDITS[name].doses[0]).image.shape == pixels.shape


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
