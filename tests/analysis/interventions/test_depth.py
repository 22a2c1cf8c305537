"""Edits keep the depth of an image, and do to a deep one what they do to its 8-bit twin."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.analysis.interventions.doses.scenes import prepared, with_artifact
from xattn.analysis.interventions.doses.registry import GRADED_EDITS, DoseCase
from xattn.analysis.interventions.editor import Job, _edited
from xattn.analysis.interventions.pixels import inpainted, occluded, pasted
from xattn.analysis.interventions.registry import INTERVENTIONS, Case
from xattn.errors import XattnError

SIZE = (48, 64)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]]
LESION = ((Y - 26) ** 2 + (X - 20) ** 2) < 14**2
MARK = np.zeros(SIZE, bool)
MARK[3:8, 40:52] = True
RNG = np.random.default_rng(0)
SHADE = (150 + 40 * np.sin(X / 9) - 60 * LESION)[..., None] + RNG.normal(0, 4, (*SIZE, 3))
EIGHT = np.rint(SHADE).astype(np.uint8)
DEEP = EIGHT.astype(np.float32)
FILLED = 6
"""Grey levels: where OpenCV fills 8 bits it rounds each pixel before it fills the next from it."""
DONOR = np.rint(SHADE[::-1] * 0.9).astype(np.uint8)


def test_filling_pasting_and_painting_agree_to_the_rounding():
    for edit in (
        lambda image: inpainted(image, MARK),
        lambda image: pasted(image, DONOR.astype(image.dtype), MARK),
        lambda image: occluded(image, MARK, np.array([100.4, 90.6, 80.0])),
    ):
        eight, deep = edit(EIGHT), edit(DEEP)
        assert (eight.dtype, deep.dtype) == (np.uint8, np.float32)
        assert np.abs(eight - deep).max() <= FILLED
        assert np.array_equal(eight[30:], deep[30:])  # far from the mask


def case(image, name):
    absent = INTERVENTIONS[name].needs == "absent"
    mask = LESION if name.startswith("occlude") else MARK
    return Case(
        image=image,
        mask=mask,
        lesion=LESION,
        skin=~LESION & ~MARK,
        inside=False,
        rng=np.random.default_rng(0),
        donor=DONOR.astype(image.dtype) if absent else None,
        donor_skin=~LESION if absent else None,
    )


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_every_intervention_keeps_the_depth(name):
    eight, deep = (INTERVENTIONS[name].edit(case(image, name)) for image in (EIGHT, DEEP))
    assert eight is not None
    for one, other in ((eight.treated, deep.treated), (eight.control, deep.control)):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.dtype, other.dtype) == (np.uint8, np.float32)
            assert np.abs(one - other).max() <= FILLED


@pytest.mark.parametrize("name", GRADED_EDITS)
def test_every_graded_edit_keeps_the_depth_and_dose_0_every_bit(name):
    edit = GRADED_EDITS[name]
    mask = MARK if edit.kinds else LESION
    plain = DoseCase(EIGHT, mask, LESION, ~LESION & ~MARK, False, np.random.default_rng(0))
    if edit.prepare(plain) is None:  # generated images have more in them
        plain = (with_artifact(name, "ruler") if edit.kinds else prepared(name))[0][0]
    deep = plain.pixels.astype(np.float32)
    fine = np.clip(deep + np.float32(0.3), 0, 255)
    found = []
    for image in (plain.pixels, deep, fine):
        one = replace(plain, pixels=image, rng=np.random.default_rng(0))
        dosed = edit.prepare(one)
        assert dosed is not None, "an image with a lesion and a mark has something for every edit"
        found.append((one, dosed))
    for dose in edit.doses:
        eight, deep = (one.taken(dosed.edit(dose)) for one, dosed in found[:2])
        assert (eight.dtype, deep.dtype) == (np.uint8, np.float32)
        assert np.abs(eight - deep).max() <= (FILLED if edit.kinds else 0.5 + 1e-3)
    one, dosed = found[2]
    assert np.abs(one.taken(dosed.edit(0.0)) - fine).max() < 1e-3


def test_an_edit_that_rounds_a_deep_image_is_an_error():
    rounding = SimpleNamespace(
        name="mine",
        edit=lambda case: SimpleNamespace(treated=EIGHT, control=None, compared=None),
    )
    rows = np.arange(1)
    job = Job("ruler", "artifact", rounding, rows, rows, rows)
    with pytest.raises(XattnError, match=r"'mine' to keep the depth .* float32, but it gave uint8"):
        _edited(job, case(DEEP, "inpaint"))
