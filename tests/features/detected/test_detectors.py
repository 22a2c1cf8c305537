"""Detectors on images whose artifacts are known: drawn by hand, and by the generator."""

import json

import cv2
import numpy as np
import pytest

from tests.features.detected.evaluate import DATA, area_under_curve, halves, interval, look
from xattn.errors import UsageError
from xattn.features.detected import DETECTORS, FramedImage, detect, find_detectors
from xattn.synthetic import Plan, render
from xattn.synthetic.features import without_features

SIZE = (192, 256)
SKIN = (215, 170, 150)


def plain(seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    skin = np.empty((*SIZE, 3))
    skin[:] = SKIN
    return np.clip(skin + rng.normal(0, noise, skin.shape), 0, 255).astype(np.uint8)


def with_hair(pixels):
    rng = np.random.default_rng(5)
    for _ in range(8):
        x, y = rng.uniform((20, 10), (236, 60))
        lean, bend = rng.uniform(-60, 60, 2)
        t = np.linspace(0, 1, 30)
        path = np.stack([x + lean * t + bend * t * (1 - t), y + 110 * t], axis=1)
        cv2.polylines(pixels, [path.round().astype(np.int32)], False, (60, 40, 30), 1, cv2.LINE_AA)
    return pixels


def with_ruler(pixels, turn=8.0):
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))

    def at(x, y):
        return round(70 + c * x - s * y), round(140 + s * x + c * y)

    cv2.line(pixels, at(0, 0), at(110, 0), (50, 45, 45), 1, cv2.LINE_AA)
    for k in range(11):
        cv2.line(pixels, at(11 * k, 0), at(11 * k, -6), (50, 45, 45), 1, cv2.LINE_AA)
    return pixels


def with_patch(pixels):
    return cv2.circle(pixels, (250, 60), 45, (60, 180, 190), -1)


def with_ink(pixels):
    for k in range(12):
        cv2.line(pixels, (40 + 3 * k, 30), (46 + 3 * k, 70), (90, 50, 150), 2)
    return pixels


def with_dark_corner(pixels):
    rows, cols = np.mgrid[: SIZE[0], : SIZE[1]]
    pixels[np.hypot(rows - 96, cols - 128) > 135] = 8
    return pixels


def with_bubbles(pixels):
    for k in range(12):
        cv2.circle(pixels, (20 + 18 * k, 40 + 10 * (k % 5)), 3, (250, 250, 250), 1, cv2.LINE_AA)
    return pixels


DRAWN = {
    "hair": with_hair,
    "ruler": with_ruler,
    "patches": with_patch,
    "ink": with_ink,
    "dark_corner": with_dark_corner,
    "gel_bubble": with_bubbles,
}


@pytest.mark.parametrize("name", DRAWN)
def test_an_artifact_drawn_on_plain_skin_is_found_where_it_is(name):
    without = plain()
    image = DRAWN[name](without.copy())
    found, absent = DETECTORS[name](FramedImage(image)), DETECTORS[name](FramedImage(without))
    assert found.score > 0.5 > absent.score
    drawn = (image != without).any(axis=2)
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert found.mask[near].sum() > 0.8 * found.mask.sum()
    assert (found.mask & drawn).sum() > 0.4 * drawn.sum()


@pytest.mark.parametrize("turn", [0, 30, 90, 135, 200])
def test_a_ruler_is_found_at_any_angle(turn):
    square = np.empty((256, 256, 3), np.uint8)
    square[:] = SKIN
    middle = cv2.getRotationMatrix2D((128, 128), turn, 1)
    lying = with_ruler(cv2.resize(plain(noise=0), (256, 256)), turn=0)
    turned = cv2.warpAffine(lying, middle, (256, 256), borderValue=SKIN)
    assert DETECTORS["ruler"](FramedImage(turned)).score > 0.7
    assert DETECTORS["ruler"](FramedImage(square)).score < 0.2


def test_a_ruler_is_not_taken_for_hair_nor_hair_for_a_ruler():
    ruler, hair = FramedImage(with_ruler(plain())), FramedImage(with_hair(plain()))
    assert DETECTORS["hair"](hair).score > DETECTORS["hair"](ruler).score + 0.3
    assert DETECTORS["ruler"](ruler).score > DETECTORS["ruler"](hair).score + 0.3


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_stay_in_range_whatever_the_image(name):
    rng = np.random.default_rng(1)
    for pixels in (
        np.zeros((*SIZE, 3), np.uint8),
        np.full((*SIZE, 3), 255, np.uint8),
        rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        rng.integers(0, 256, (48, 32, 3), dtype=np.uint8),
    ):
        before = pixels.copy()
        found = DETECTORS[name](FramedImage(pixels))
        assert 0 <= found.score <= 1
        if found.mask is not None:
            assert found.mask.shape == pixels.shape[:2]
            assert found.mask.dtype == bool
        assert (pixels == before).all()


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=list(DETECTORS))
def test_every_detector_says_what_it_looks_for_and_after_whom(detector):
    assert detector.meaning
    assert detector.source
    assert detector.spread > 0
    json.dumps(detector.to_dict(), allow_nan=False)


def test_detectors_are_found_by_name():
    assert [d.name for d in find_detectors(["ink", "hair"])] == ["ink", "hair"]
    assert set(detect(FramedImage(plain()), ["ruler"])) == {"ruler"}
    with pytest.raises(UsageError, match="did you mean 'hair'"):
        find_detectors(["hairs"])


# Rulers of ticks alone, without a line, are not found; bubbles drown in the texture of the skin.
LEAST = {
    "hair": 0.9,
    "ruler": 0.8,
    "patches": 0.9,
    "ink": 0.9,
    "dark_corner": 0.9,
    "gel_bubble": 0.5,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAST)
def test_what_the_generator_draws_is_told_from_the_same_image_without_it(name):
    plan = Plan(seed=3)
    specs = [s for s in (plan.draw(i) for i in range(150)) if name in s.present][:25]
    assert len(specs) == 25
    scores, fractions = np.empty((25, 2)), np.empty(25)
    for i, spec in enumerate(specs):
        drawn = render(spec, SIZE)
        found = DETECTORS[name](FramedImage(drawn.image))
        without = DETECTORS[name](FramedImage(render(without_features(spec, name), SIZE).image))
        scores[i] = found.score, without.score
        fractions[i] = (found.mask & drawn.masks[name]).sum() / max(1, found.mask.sum())
    assert area_under_curve(scores.ravel(), np.tile([True, False], 25)) > LEAST[name]
    assert (scores[:, 0] >= scores[:, 1] - 0.02).mean() >= 0.8
    # Masks of lines are widened by a pixel on either side, which is most of them.
    assert np.median(fractions) > (0.2 if name != "gel_bubble" else 0.05)


def test_the_halves_do_not_meet_and_do_not_depend_on_the_order():
    ids = np.array([f"ISIC_{i:07d}" for i in range(101)])
    development, reported = halves(ids)
    assert set(development) | set(reported) == set(ids)
    assert not set(development) & set(reported)
    again = halves(ids[::-1])
    assert (again[1] == reported).all()


def test_the_area_under_the_curve_is_a_count_of_pairs():
    rng = np.random.default_rng(0)
    score, present = rng.integers(0, 5, 40), rng.random(40) < 0.4
    pairs = np.sign(score[present][:, None] - score[~present][None]) / 2 + 0.5
    assert area_under_curve(score, present) == pytest.approx(pairs.mean())
    low, high = interval(score[:, None].astype(float), np.mean)
    assert low < score.mean() < high


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ISIC 2018 in ../shared/data")
@pytest.mark.parametrize(
    ("name", "least"), [("dark_corner", 0.9), ("patches", 0.85), ("ruler", 0.7)]
)
def test_on_real_images_scores_follow_human_flags(name, least):
    import pandas as pd

    index = pd.read_csv(DATA / "isic2018" / "index.csv").set_index("id")
    _, reported = halves(index.index.to_numpy())
    flag = index.loc[reported, f"artifact_{name}"]
    some = pd.concat([flag[flag == v].sample(40, random_state=0) for v in (1, 0)])
    scores = np.array([look(i).scores[name] for i in some.index])
    assert area_under_curve(scores, some.to_numpy() == 1) > least
