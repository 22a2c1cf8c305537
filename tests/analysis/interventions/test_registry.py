"""Edits and their controls, on images of one colour."""

import numpy as np
import pytest

from xattn.analysis.interventions.doses.registry import DoseCase
from xattn.analysis.interventions.edits.inpaint import remove
from xattn.analysis.interventions.edits.insert import insert
from xattn.analysis.interventions.edits.opacity import opacity
from xattn.analysis.interventions.registry import Case

SIZE = (40, 50)
GREY, DARK, LIGHT = (np.full((*SIZE, 3), value, np.uint8) for value in (150, 20, 230))
RING = np.ones(SIZE, bool)
RING[3:37, 4:46] = False
DOT = np.zeros(SIZE, bool)
DOT[4:9, 4:9] = True


def case(mask, **changes):
    image = np.where(mask[..., None], np.uint8(0), GREY)
    given = {"image": image, "mask": mask, "lesion": None, "skin": ~mask, "inside": False}
    return Case(**{**given, "rng": np.random.default_rng(0), **changes})


def test_removal_is_compared_with_a_patch_elsewhere_in_the_same_image_if_it_fits():
    edited = remove(case(DOT, reference=lambda: pytest.fail("there is room")))
    assert not edited.borrowed
    assert edited.compared is None
    assert (edited.control[DOT] == 0).all()  # the feature is still there
    assert (edited.treated[DOT] > 100).all()


def test_the_control_of_a_structure_lies_in_the_lesion_or_in_that_of_another_image():
    lesion = np.zeros(SIZE, bool)
    lesion[2:20, 2:20] = True
    given = {"lesion": lesion, "skin": ~lesion, "inside": True}
    roomy = case(DOT, **given).elsewhere()
    assert (roomy <= lesion).all()
    assert not (roomy & DOT).any()
    filling = lesion.copy()
    filling[2:4] = False
    assert case(filling, **given).elsewhere() is None  # though there is skin for it
    edited = remove(case(filling, **given, reference=lambda: LIGHT))
    assert edited.compared is LIGHT


def test_a_structure_over_most_of_its_lesion_cannot_be_faded_out():
    lesion = np.zeros(SIZE, bool)
    lesion[2:14, 2:14] = True
    image = np.where(lesion[..., None], np.uint8(0), GREY)
    given = (image, lesion, lesion, ~lesion)
    assert opacity(DoseCase(*given, True, np.random.default_rng(0))) is None
    assert opacity(DoseCase(*given, False, np.random.default_rng(0))).control is not None


def test_removal_without_room_is_compared_with_the_same_patch_of_another_image():
    edited = remove(case(RING, reference=lambda: LIGHT))
    assert edited.borrowed
    assert edited.compared is LIGHT
    assert (
        np.abs(edited.control.astype(int) - LIGHT).max() <= 3
    )  # light skin filled with light skin
    assert (edited.treated[RING] > 100).all()


def test_insertion_without_room_is_compared_with_what_another_image_has_there():
    given = {"image": GREY, "donor": DARK, "donor_skin": ~RING}
    edited = insert(case(RING, **given, reference=lambda: LIGHT))
    assert edited.borrowed
    assert edited.compared is None  # the control begins with the same image
    assert (edited.treated[0] == 20).all()
    assert (edited.control[0] == 230).all()
    assert (edited.control[20, 25] == 150).all()


@pytest.mark.parametrize("edit", [remove, insert])
def test_without_room_and_without_another_image_there_is_no_control(edit):
    edited = edit(case(RING, donor=DARK, donor_skin=~RING))
    assert edited.control is None
