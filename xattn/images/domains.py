"""What kind of images a data set is of, which decides what can be measured in them.

A chest film has no skin tone, a tissue patch no lesion outline, and a film turned upside down is no
film. A domain is declared in the annotation file, by its layout or with `--domain`; otherwise it is
taken from what the images look like, if that leaves no doubt, and else is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.errors import ImageError, near
from xattn.images.decode import read_image
from xattn.registry import Registry

_LOOKED_AT = 24
"""Images that a guess looks at, evenly spread over the data set."""
_SIDE = 64
_CORNER = 6
_LIT = 0.12
"""Brightness (0 to 1) above which a pixel is no background."""


class Look(NamedTuple):
    """What an image looks like, roughly.

    Attributes:
        saturation: mean of the largest less the smallest channel, 0 to 1.
        purple: fraction of pixels whose green is the smallest channel.
        corners: mean brightness of the four corners, 0 to 1.
        blue_to_red: of the mean colour of what is not black.
    """

    saturation: float
    purple: float
    corners: float
    blue_to_red: float


@dataclass(frozen=True)
class Words:
    """What sentences about images of a domain call what all domains have.

    Names that are stored stay: the mask is `lesion` in every annotation file and table.

    Attributes:
        lesion: what the mask `lesion` outlines.
        skin: what there is where nothing is annotated.
        groups: what images that are alike have in common, in the plural.
    """

    lesion: str = "lesion"
    skin: str = "background"
    groups: str = "patients, lesions"

    def put_into(self, text: str) -> str:
        """Return a text with these words for its `{lesion}` and `{skin}`.

        >>> Words("region").put_into("fraction of the {lesion} that its mirror image misses")
        'fraction of the region that its mirror image misses'
        """
        return text.replace("{lesion}", self.lesion).replace("{skin}", self.skin)


NEUTRAL = Words()
"""Where the domain is not known."""


@dataclass(frozen=True)
class Domain:
    """A kind of images.

    Attributes:
        name: as in annotation files and `--domain`.
        meaning: one line.
        augment: the augmentation that a recipe without one gets.
        looks: whether most images look like it; None if that cannot be seen.
        words: what sentences about its images say.
    """

    name: str
    meaning: str
    augment: str
    looks: Callable[[Look], bool] | None = None
    words: Words = NEUTRAL


DOMAINS: Registry[Domain] = Registry("domain")
"""By name; a plugin adds its own with `DOMAINS.add(name, Domain(...))`."""

_OF_SKIN = Words(skin="skin")

for _domain in (
    Domain("dermoscopy", "Skin lesions through a dermatoscope.", "dermoscopy", words=_OF_SKIN),
    Domain(
        "clinical",
        "Skin lesions and other findings, photographed by a camera.",
        "natural",
        words=_OF_SKIN,
    ),
    Domain(
        "tissue",
        "Stained tissue under a microscope, such as haematoxylin and eosin.",
        "histology",
        lambda look: look.purple > 0.9 and look.saturation > 0.03,
        Words("region", "tissue", "patients, slides"),
    ),
    Domain(
        "radiograph",
        "Grey images of the inside of the body: X-ray, CT, MR, ultrasound, OCT.",
        "radiograph",
        lambda look: look.saturation < 0.02,
        Words("region", "background", "patients, studies"),
    ),
    Domain(
        "fundus",
        "Colour photographs of the retina.",
        "fundus",
        lambda look: look.corners < 0.08 and look.blue_to_red < 0.5 and look.saturation > 0.1,
        Words("region", "retina", "patients, eyes"),
    ),
    Domain(
        "natural",
        "Photographs of anything.",
        "natural",
        words=Words("object", "background", "series, scenes"),
    ),
):
    DOMAINS.add(_domain.name, _domain)

LESIONS = ("dermoscopy", "clinical", "radiograph", "fundus", "natural")
"""Where an outline is that of one thing, whose shape means something."""
SKIN = ("dermoscopy", "clinical")
PHOTOGRAPHED = ("dermoscopy", "clinical", "fundus", "natural")
"""Where colours are those that an eye would see."""
COLOURED = (*PHOTOGRAPHED, "tissue")
"""Where images have colours at all."""
STAINED = ("tissue",)
"""Where colours are those of stains."""


def applies(domains: Sequence[str], domain: str | None) -> bool:
    """Say whether what is made for some domains, () for all, is for images of `domain`.

    Where the domain is not known, nothing is left out.
    """
    return domain is None or not domains or domain in domains


def words_of(domain: str | None) -> Words:
    """Return what sentences about images of a domain say.

    Args:
        domain: a name of `DOMAINS`, or None where it is not known. One that is not there, of a
            plugin that is not loaded now, counts as not known.
    """
    return DOMAINS[domain].words if domain is not None and domain in DOMAINS else NEUTRAL


def checked_domain(name: str) -> str:
    """Return a name that `DOMAINS` has.

    Raises:
        ValueError: it has not; the message names near ones.
    """
    if name not in DOMAINS:
        raise ValueError(f"Expected a domain, but got {name!r}{near(name, DOMAINS)}")
    return name


def guess_domain(files: Sequence[Path]) -> str | None:
    """Say which domain nine of ten images look like; None if there is a doubt.

    Dermoscopy is told from no other photograph: of it, nothing is guessed.

    Args:
        files: images; some are looked at, evenly spread. Those that cannot be read do not count.
    """
    looks = []
    for file in files[:: max(1, -(-len(files) // _LOOKED_AT))]:
        try:
            decoded = read_image(file, enough=lambda w, h: (2 * _SIDE, 2 * _SIDE))
        except ImageError:
            continue
        looks.append(look_at(np.asarray(decoded.image)))
    for domain in DOMAINS.values():
        if domain.looks is not None and looks:
            alike = sum(map(domain.looks, looks))
            if alike >= 0.9 * len(looks):
                return domain.name
    return None


def look_at(pixels: NDArray[np.uint8]) -> Look:
    """Describe an image (h, w, 3), 8-bit RGB."""
    reduced = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(reduced, dtype=np.float64) / 255
    red, green, blue = np.moveaxis(small, -1, 0)
    brightness = small.mean(axis=-1)
    lit = brightness > _LIT
    mean = small[lit].mean(axis=0) if lit.any() else small.reshape(-1, 3).mean(axis=0)
    ends = (slice(None, _CORNER), slice(-_CORNER, None))
    return Look(
        saturation=float(np.ptp(small, axis=-1).mean()),
        purple=float(((green < red) & (green < blue)).mean()),
        corners=float(np.mean([brightness[y, x].mean() for y in ends for x in ends])),
        blue_to_red=float(mean[2] / max(mean[0], 1e-3)),
    )
