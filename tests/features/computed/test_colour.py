import cv2
import numpy as np
import pytest

from tests.features.computed.shapes import SKIN, ellipse, grid, on_skin
from xattn.features.computed import Subject
from xattn.features.computed.colour import (
    COLOURS,
    colour_asymmetry,
    colour_fractions,
    colour_variance,
    dermoscopic_colours,
)

EXAMPLES = {
    "white": (245, 240, 238),
    "red": (190, 60, 60),
    "light brown": (170, 115, 75),
    "dark brown": (95, 55, 30),
    "blue-grey": (95, 105, 125),
    "black": (22, 18, 18),
}


def lab(colour):
    pixel = np.array([[colour]], np.float32) / 255
    return cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0]


def painted(mask, *colours):
    """A lesion in stripes of equal area, from left to right."""
    subject = on_skin(mask)
    x, _ = grid()
    edges = np.quantile(x[mask], np.linspace(0, 1, len(colours) + 1))
    for colour, low, high in zip(colours, edges[:-1], edges[1:], strict=True):
        subject.pixels[mask & (x >= low) & (x <= high)] = colour
    return Subject(subject.pixels, mask)


@pytest.mark.parametrize("name", COLOURS)
def test_each_of_the_six_colours_is_known_by_an_example(name):
    fractions = colour_fractions(lab(EXAMPLES[name])[None], lab(SKIN))
    assert dict(zip(COLOURS, fractions, strict=True))[name] == 1


def test_skin_is_none_of_the_six():
    near = np.stack([lab(np.clip(np.add(SKIN, d), 0, 255)) for d in (-6, 0, 6)])
    assert colour_fractions(near, lab(SKIN)).sum() == 0


def test_colours_are_counted_from_a_twentieth_of_the_lesion_on():
    mask = ellipse()
    assert dermoscopic_colours(painted(mask, EXAMPLES["black"])) == 1
    assert dermoscopic_colours(painted(mask, *EXAMPLES.values())) == 6
    few = [EXAMPLES["black"]] * 39 + [EXAMPLES["red"]]
    assert dermoscopic_colours(painted(mask, *few)) == 1


def test_pixels_under_artifacts_have_no_colour():
    mask = ellipse()
    x, _ = grid()
    subject = painted(mask, EXAMPLES["black"], EXAMPLES["red"])
    covered = Subject(subject.pixels, mask, x > -3)
    assert dermoscopic_colours(subject) == 2
    assert dermoscopic_colours(covered) == 1


def test_the_variance_is_that_of_two_colours():
    a, b = EXAMPLES["dark brown"], EXAMPLES["light brown"]
    expected = np.square(lab(a) - lab(b)).sum() / 4
    assert colour_variance(painted(ellipse(), a, b)) == pytest.approx(expected, rel=0.01)
    assert colour_variance(painted(ellipse(), a)) == pytest.approx(0, abs=1e-4)


def test_two_halves_are_as_unlike_as_their_colours_about_one_axis_alone():
    a, b = EXAMPLES["dark brown"], EXAMPLES["light brown"]
    apart = np.linalg.norm(lab(a) - lab(b))
    halves = colour_asymmetry(painted(ellipse(), a, b))
    assert halves == pytest.approx(apart / 2, rel=0.08)
    assert colour_asymmetry(painted(ellipse(), a)) < 0.05 * apart
    assert colour_asymmetry(painted(ellipse(), a, b, a)) < 0.15 * halves


def test_turning_a_lesion_leaves_its_colours_as_they_are():
    a, b = EXAMPLES["dark brown"], EXAMPLES["light brown"]
    still = painted(ellipse(), a, b)
    turned = Subject(np.rot90(still.pixels).copy(), np.rot90(still.mask).copy())
    for measure in (colour_asymmetry, colour_variance, dermoscopic_colours):
        assert measure(turned) == pytest.approx(measure(still), rel=0.01)
