import cv2
import numpy as np
import pytest

from tests.features.computed.shapes import BROWN, SKIN, disc, grid, on_skin
from xattn.features.computed import Subject, UnmeasurableError
from xattn.features.computed.border import abrupt_border


def blurred(mask, sigma):
    sharp = on_skin(mask).pixels
    return cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp


@pytest.mark.parametrize(("sigma", "fraction"), [(0, 1.0), (1.5, 1.0), (12, 0.0), (20, 0.0)])
def test_a_step_is_abrupt_and_a_long_ramp_is_not(sigma, fraction):
    mask = disc(60)
    assert abrupt_border(Subject(blurred(mask, sigma), mask)) == fraction


def test_each_abrupt_eighth_counts():
    mask = np.asarray((lambda x, y: (x / 80) ** 2 + (y / 50) ** 2 < 1)(*grid()))
    x, _ = grid()
    mixed = np.where((x > 0)[..., None], blurred(mask, 0), blurred(mask, 20))
    assert abrupt_border(Subject(mixed, mask)) == pytest.approx(0.5, abs=0.13)


def test_a_lesion_lighter_than_the_skin_can_end_abruptly_too():
    mask = disc(60)
    assert abrupt_border(on_skin(mask, colour=SKIN, skin=BROWN)) == 1


def test_without_contrast_there_is_no_edge():
    mask = disc(60)
    assert abrupt_border(on_skin(mask, colour=SKIN)) == 0


def test_a_border_under_artifacts_is_not_measured():
    mask = disc(60)
    with pytest.raises(UnmeasurableError, match="artifacts"):
        abrupt_border(on_skin(mask, artifacts=np.ones_like(mask)))
