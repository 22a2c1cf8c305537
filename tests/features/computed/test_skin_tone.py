import cv2
import numpy as np
import pytest

from tests.features.computed.shapes import disc, grid, on_skin
from xattn.features.computed import TONES, Subject, UnmeasurableError, tone_band
from xattn.features.computed.skin_tone import skin_tone


def angle(colour):
    light, _, b = cv2.cvtColor(np.array([[colour]], np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    return np.degrees(np.arctan((light - 50) / b))


@pytest.mark.parametrize("skin", [(240, 205, 185), (200, 150, 120), (120, 80, 55), (70, 45, 35)])
def test_plain_skin_has_the_angle_of_its_colour(skin):
    subject = on_skin(disc(60), colour=(25, 20, 20), skin=skin)
    assert skin_tone(subject) == pytest.approx(angle(skin), abs=0.1)


def test_neither_lesion_nor_artifacts_nor_corners_nor_glare_are_skin():
    skin, mask = (200, 150, 120), disc(50)
    subject = on_skin(mask, skin=skin)
    x, y = grid()
    ink = (x > 60) & (y > 0)
    subject.pixels[ink] = (60, 40, 160)
    subject.pixels[np.hypot(x, y) > 140] = (8, 8, 8)
    subject.pixels[(x < -70) & (y < 0) & (np.hypot(x, y) < 130)] = 255
    assert skin_tone(Subject(subject.pixels, mask, ink)) == pytest.approx(angle(skin), abs=0.1)


def test_bluish_light_does_not_turn_the_sign_round():
    assert 90 < skin_tone(on_skin(disc(60), skin=(205, 210, 225))) < 180


def test_a_lesion_that_fills_the_image_leaves_no_skin():
    mask = np.ones((96, 96), bool)
    with pytest.raises(UnmeasurableError, match="healthy skin"):
        skin_tone(on_skin(mask))


def test_bands_have_the_published_cut_offs():
    angles = [60, 55.1, 55, 41.1, 41, 28.1, 28, 10.1, 10, -29.9, -30.1, np.nan]
    assert tone_band(angles).tolist() == [
        "very light", "very light", "light", "light", "intermediate", "intermediate", "tan", "tan",
        "brown", "brown", "dark", None,
    ]  # fmt: skip
    assert set(TONES) == set(tone_band([60, 50, 30, 20, 0, -40]))
