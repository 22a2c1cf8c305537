"""Colour of the lesion: asymmetry, variance, and the six colours of dermoscopy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.shape import aligned
from xattn.features.computed.subject import Lab, Subject, UnmeasurableError
from xattn.images.domains import PHOTOGRAPHED
from xattn.stats.arrays import Floats

COLOURS = ("white", "red", "light brown", "dark brown", "blue-grey", "black")

_SMOOTHED = 0.02
"""Blur (diameters) before halves are compared, or every dot of a network would count."""
PRESENT_FROM = 0.05
"""A colour is present from this fraction of the lesion on."""
NO_COLOUR = len(COLOURS)
"""Number of what is like the skin."""


@computed_feature(
    "colour_asymmetry",
    unit="delta E (CIE76)",
    whole=True,
    source="Stolz et al. 1994; Nachbar et al. 1994; CIE 1976 colour difference",
    meaning="mean difference in CIELAB between the {lesion} and its mirror image, both axes",
    domains=PHOTOGRAPHED,
)
def colour_asymmetry(subject: Subject) -> float:
    """Return the mean CIE76 difference of mirrored points, mean over both principal axes.

    Only points are compared that lie in the lesion, as do their mirror images, and that no
    artifact is known to cover.
    """
    sigma = max(0.5, _SMOOTHED * float(np.sqrt(4 * subject.area / np.pi)))
    turned = aligned(subject, np.asarray(cv2.GaussianBlur(subject.lab, (0, 0), sigma)))
    inside = aligned(subject, (subject.lesion & subject.clean).astype(np.float32)) >= 0.5
    found = [_difference(subject, turned, inside, flip) for flip in (np.flipud, np.fliplr)]
    return float(np.mean(found))


def _difference(
    subject: Subject, values: Lab, inside: NDArray[np.bool_], flip: np.ufunc | object
) -> float:
    both = inside & flip(inside)  # type: ignore[operator]
    if not both.any():
        raise UnmeasurableError(f"no part of the {subject.words.lesion} lies opposite another")
    apart = values[both] - flip(values)[both]  # type: ignore[operator]
    return float(np.sqrt(np.square(apart).sum(axis=1)).mean())


@computed_feature(
    "colour_variance",
    unit="delta E squared",
    source="Celebi et al. 2007",
    meaning="sum of the variances of L*, a* and b* over the {lesion}",
    domains=PHOTOGRAPHED,
)
def colour_variance(subject: Subject) -> float:
    """Return the mean squared CIE76 difference from the lesion's mean colour."""
    return float(subject.lesion_colours.astype(np.float64).var(axis=0).sum())


@computed_feature(
    "dermoscopic_colours",
    unit="colours",
    high=6.0,
    source="Stolz et al. 1994; Nachbar et al. 1994 (C of the ABCD rule); thresholds ours",
    meaning="how many of white, red, light brown, dark brown, blue-grey, black cover 5 %",
    domains=("dermoscopy",),
)
def dermoscopic_colours(subject: Subject) -> float:
    """Return how many of the six colours cover at least 5 % of the lesion."""
    return float(
        (colour_fractions(subject.lesion_colours, subject.skin_colour) >= PRESENT_FROM).sum()
    )


def colour_fractions(colours: Lab, skin: Floats) -> Floats:
    """Return the fraction of pixels in each of `COLOURS`; those like the skin are in none.

    Args:
        colours: L*, a*, b* (n, 3).
        skin: L*, a*, b* of healthy skin.
    """
    numbers = colour_numbers(colours, skin)
    return np.bincount(numbers, minlength=NO_COLOUR + 1)[:NO_COLOUR] / len(colours)


def colour_numbers(colours: Lab, skin: Floats) -> NDArray[np.intp]:
    """Return which of `COLOURS` each pixel has, by its place there, and `NO_COLOUR` for none.

    The first that fits counts, of these in CIELAB, C being the chroma and h the hue angle:

    | colour | if |
    |---|---|
    | black | L* < 18 |
    | white | paler than the skin: L* >= skin + 4 and C <= skin - 4 |
    | blue-grey | b* < 5 and L* < skin |
    | red | h < 35 degrees, C >= 22 and a* >= skin + 8 |
    | dark brown | L* < 42 |
    | light brown | L* < skin - 6 |

    White is judged against the skin, as Nachbar et al. ask; the numbers are ours, since tables
    of RGB values in print depend on the camera and disagree.

    Args:
        colours: L*, a*, b* (..., 3).
        skin: L*, a*, b* of healthy skin.
    """
    light, a, b = np.moveaxis(colours, -1, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    skin_light, skin_a, skin_chroma = skin[0], skin[1], np.hypot(skin[1], skin[2])
    black = light < 18
    white = (light >= skin_light + 4) & (chroma <= skin_chroma - 4)
    blue = (b < 5) & (light < skin_light)
    red = (np.abs(hue) < 35) & (chroma >= 22) & (a >= skin_a + 8)
    dark, brown = light < 42, light < skin_light - 6
    first = np.select([black, white, blue, red, dark, brown], [5, 0, 4, 1, 3, 2], NO_COLOUR)
    return np.asarray(first, dtype=np.intp)
