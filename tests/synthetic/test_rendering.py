from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from xattn.errors import UsageError
from xattn.synthetic import FEATURES, ImageSpec, Plan, render
from xattn.synthetic.features import with_features, without_features

STRUCTURES = [name for name, one in FEATURES.items() if one.kind == "structure"]
ARTIFACTS = [name for name, one in FEATURES.items() if one.kind == "artifact"]

SIZE = (96, 128)
EVERYTHING = Plan(seed=4, prevalence=dict.fromkeys(FEATURES, 0.6), effects={})


def specs(n: int, plan: Plan = EVERYTHING) -> list[ImageSpec]:
    return [plan.draw(i) for i in range(n)]


def test_all_structures_and_artifacts_are_registered():
    assert set(STRUCTURES) == {
        "pigment_network",
        "negative_network",
        "streaks",
        "milia_like_cyst",
        "globules",
    }
    assert set(ARTIFACTS) == {"hair", "ruler", "ink", "patches", "dark_corner", "gel_bubble"}


@pytest.mark.parametrize("name", FEATURES)
def test_a_mask_is_exactly_the_pixels_that_differ_without_the_feature(name):
    for spec in specs(4):
        with_it, without = (
            render(with_features(spec, name), SIZE),
            render(without_features(spec, name), SIZE),
        )
        differs = (with_it.image != without.image).any(axis=2)
        assert np.array_equal(with_it.masks[name], differs)
        assert name not in without.masks


@pytest.mark.parametrize("size", [(64, 64), (192, 256), (200, 120)])
@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_leaves_a_visible_mask_of_the_images_size(name, size):
    plan = Plan(seed=8, effects={})
    for i in range(4):
        rendered = render(with_features(plan.draw(i), name), size)
        mask = rendered.masks[name]
        assert mask.dtype == np.bool_
        assert mask.shape == size == rendered.image.shape[:2]
        assert 4 <= mask.sum() < 0.6 * mask.size


def test_no_mask_is_empty_where_all_features_meet():
    plan = Plan(seed=12, prevalence=dict.fromkeys(FEATURES, 1.0))
    for spec in specs(15, plan):
        rendered = render(spec, SIZE)
        assert set(rendered.masks) == set(FEATURES)
        assert all(mask.any() for mask in rendered.masks.values())


def test_the_image_is_eight_bit_rgb_and_the_same_each_time():
    spec = EVERYTHING.draw(3)
    first, second = render(spec, SIZE), render(spec, SIZE)
    assert first.image.dtype == np.uint8
    assert first.image.shape == (*SIZE, 3)
    assert np.array_equal(first.image, second.image)
    assert not np.array_equal(first.image, render(EVERYTHING.draw(5), SIZE).image)


def test_another_process_draws_the_same_bytes():
    code = (
        "import hashlib\nfrom xattn.synthetic import Plan, render\n"
        "print(hashlib.sha256(render(Plan(seed=9).draw(2), (96, 128)).image).hexdigest())"
    )
    here = hashlib.sha256(render(Plan(seed=9).draw(2), SIZE).image).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


def test_the_lesion_is_one_large_darker_blob():
    for spec in specs(12, Plan(seed=3, effects={}, prevalence=dict.fromkeys(FEATURES, 0.0))):
        rendered = render(spec, SIZE)
        lesion = rendered.lesion
        assert 0.02 < lesion.mean() < 0.8
        _, _, stats, _ = cv2.connectedComponentsWithStats(lesion.astype(np.uint8))
        assert stats[1:, cv2.CC_STAT_AREA].max() > 0.9 * lesion.sum()
        green = rendered.image[..., 1].astype(float)
        assert np.median(green[lesion]) < np.median(green[~lesion]) - 5


def test_structures_lie_on_the_lesion_or_at_its_border():
    widest = np.ones((13, 13), np.uint8)
    for spec in specs(8):
        rendered = render(without_features(with_features(spec, *STRUCTURES), *ARTIFACTS), SIZE)
        near = cv2.dilate(rendered.lesion.astype(np.uint8), widest) > 0
        for name in STRUCTURES:
            assert (rendered.masks[name] & near).sum() > 0.97 * rendered.masks[name].sum()


def test_ink_is_beside_the_lesion_and_patches_mostly_so():
    covered = []
    for spec in specs(12):
        rendered = render(with_features(without_features(spec, *ARTIFACTS), "ink", "patches"), SIZE)
        assert not (rendered.masks["ink"] & rendered.lesion).any()
        bare = render(without_features(spec, *ARTIFACTS), SIZE).lesion
        covered.append((rendered.masks["patches"] & bare).sum() / bare.sum())
    assert np.mean(covered) < 0.1


def test_two_images_of_one_lesion_show_it_in_two_views():
    plan = Plan(seed=0, pair_rate=1.0, effects={}, prevalence=dict.fromkeys(FEATURES, 0.0))
    for first in range(0, 12, 2):
        one, two = (render(plan.draw(first + k), SIZE) for k in range(2))
        assert not np.array_equal(one.lesion, two.lesion)
        assert 0.4 < one.lesion.sum() / two.lesion.sum() < 2.5  # zoom and the image's edge


@pytest.mark.parametrize(
    ("trait", "measure"),
    [
        ("border_irregularity", lambda r: _roughness(r.lesion)),
        ("colour_variegation", lambda r: _spread(r.image, r.lesion)),
        ("skin_tone", lambda r: -float(np.median(r.image[~r.lesion]))),
    ],
    ids=["border_irregularity", "colour_variegation", "skin_tone"],
)
def test_a_trait_shows_in_the_image(trait, measure):
    plain = Plan(seed=21, effects={}, prevalence=dict.fromkeys(FEATURES, 0.0))
    gains = []
    for spec in specs(16, plain):
        low, high = (replace(spec, traits={**spec.traits, trait: z}) for z in (-1.5, 1.5))
        gains.append(measure(render(high, SIZE)) - measure(render(low, SIZE)))
    assert np.mean(gains) > 3 * np.std(gains) / np.sqrt(len(gains))


def test_age_and_sex_are_not_in_the_image():
    spec = EVERYTHING.draw(1)
    other = replace(spec, traits={**spec.traits, "age": 2.0}, sex="unknown", label="benign")
    assert np.array_equal(render(spec, SIZE).image, render(other, SIZE).image)


@pytest.mark.parametrize("size", [(63, 64), (64, 10)])
def test_too_small_a_size_is_refused_with_the_least_one(size):
    with pytest.raises(UsageError, match="at least 64 x 64"):
        render(EVERYTHING.draw(0), size)


def _roughness(lesion: np.ndarray) -> float:
    """Fraction of the convex hull that the lesion does not fill."""
    outlines, _ = cv2.findContours(
        lesion.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    largest = max(outlines, key=cv2.contourArea)
    return 1 - cv2.contourArea(largest) / cv2.contourArea(cv2.convexHull(largest))


def _spread(image: np.ndarray, lesion: np.ndarray) -> float:
    core = cv2.erode(lesion.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return float(image[core if core.any() else lesion].astype(float).std(axis=0).mean())
