from functools import cache

import cv2
import numpy as np
import pytest

from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError
from xattn.features.computed.nuclei import segment_nuclei
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import NUCLEI, TissuePlan

PINK, BLUE = (225, 170, 205), (80, 60, 130)
NAMES = ("nuclei_count", "nuclei_diameter", "nuclei_area")


def discs(places, radius, size=96):
    image = np.full((size, size, 3), PINK, np.uint8)
    for x, y in places:
        cv2.circle(image, (x, y), radius, BLUE, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 0.5)


def subject(image, artifacts=None):
    return Subject(image, np.zeros(image.shape[:2], dtype=bool), artifacts)


def measure(image, artifacts=None):
    one = subject(image, artifacts)
    return {name: COMPUTED_FEATURES[name](one) for name in NAMES}


GRID = [(x, y) for x in range(12, 96, 18) for y in range(12, 96, 18)]


@pytest.mark.parametrize("radius", [3, 5, 7])
def test_discs_are_counted_and_measured(radius):
    found = measure(discs(GRID, radius))
    assert found["nuclei_count"] == len(GRID)
    true = (2 * radius + 1) / 96
    assert found["nuclei_diameter"] == pytest.approx(true, rel=0.2)
    assert found["nuclei_area"] == pytest.approx(
        len(GRID) * np.pi * (radius + 0.5) ** 2 / 96**2, rel=0.35
    )


def test_nuclei_that_touch_are_parted():
    pairs = [(x + dx, y) for x, y in [(24, 24), (70, 24), (24, 70), (70, 70)] for dx in (0, 11)]
    assert measure(discs(pairs, 6))["nuclei_count"] == len(pairs)


def test_what_an_artifact_covers_is_left_out():
    image = discs(GRID, 5)
    covered = np.zeros((96, 96), dtype=bool)
    covered[:, 40:] = True
    image[covered] = (20, 30, 80)  # pen
    found = measure(image, covered)
    assert found["nuclei_count"] == sum(x < 40 for x, _ in GRID)


@pytest.mark.parametrize("image", ["glass", "noise", "fibres"])
def test_without_nuclei_there_is_nothing_to_measure(image):
    rng = np.random.default_rng(0)
    pixels = {
        "glass": np.full((96, 96, 3), (238, 236, 240), np.uint8),
        "noise": rng.normal((238, 236, 240), 2, (96, 96, 3)).astype(np.uint8),
        "fibres": np.full((96, 96, 3), PINK, np.uint8),
    }[image]
    with pytest.raises(UnmeasurableError):
        measure(pixels)


@cache
def rendered():
    plan = TissuePlan(0)
    return [(spec, render_tissue(spec)) for spec in map(plan.draw, range(60))]


def artifacts_of(masks):
    own = [mask for name, mask in masks.items() if name != NUCLEI]
    return np.any(own, axis=0) if own else None


def test_nuclei_of_generated_tissue_are_found():
    overlaps = []
    for _, patch in rendered():
        found = segment_nuclei(patch.image, artifacts_of(patch.masks)) > 0
        true = patch.masks[NUCLEI]
        overlaps.append(2 * (found & true).sum() / (found.sum() + true.sum()))
    assert np.mean(overlaps) > 0.75  # 0.81 was measured


def test_nuclei_of_tumour_are_measured_as_larger_and_fewer():
    rows = {"normal": [], "tumor": []}
    for spec, patch in rendered():
        rows[spec.label].append(measure(patch.image, artifacts_of(patch.masks)))
    mean = {
        label: {name: np.mean([row[name] for row in own]) for name in NAMES}
        for label, own in rows.items()
    }
    assert mean["tumor"]["nuclei_diameter"] > 1.2 * mean["normal"]["nuclei_diameter"]
    assert mean["tumor"]["nuclei_count"] < 0.8 * mean["normal"]["nuclei_count"]


@pytest.mark.parametrize("name", NAMES)
def test_nuclei_are_for_stained_tissue_and_need_no_outline(name):
    feature = COMPUTED_FEATURES[name]
    assert feature.domains == ("tissue",)
    assert not feature.needs_lesion
