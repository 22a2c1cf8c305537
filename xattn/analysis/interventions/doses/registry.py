"""Graded edits by registration: a feature of one image changed by a dose, and a control as large.

To add one, write a function of a `DoseCase` that returns a `Dosed`, or None where it cannot be
done, in a file of the package `xattn.analysis.interventions.edits`:

    @graded_edit("my-edit", feature="redness", doses=(-10, -5, 5, 10), unit="a* (CIELAB)")
    def my_edit(case): ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.colours import Colours, to_lab, to_rgb
from xattn.analysis.interventions.pixels import Mask, shift_to_free, widened
from xattn.features.computed import Subject, UnmeasurableError
from xattn.images.channels import COLOURS
from xattn.images.levels import Pixels, in_colours, like
from xattn.registry import Registry, meaning_of

Measure = Callable[[Subject], float]

_MOST_OVERLAP = 0.5
"""So much of a large lesion's shape may lie off plain skin, where the control then does nothing."""


@dataclass(frozen=True, eq=False)
class DoseCase:
    """One image and one feature.

    Attributes:
        pixels: (height, width, channels) in the model's view; uint8, or float32 if it is deep.
        mask: where the feature is: the lesion for features of it, nothing for those of the image.
        lesion: where the lesion is, or None if nobody said.
        skin: plain skin: neither lesion nor any artifact.
        inside: whether the feature is part of the lesion.
        rng: for this image; to be drawn from before the first dose.
        observed: 1st and 99th percentile of the feature over the run, or None.
        coloured: whether images of the run's domain have colours.
        artifacts: where artifacts lie, which are left out of what is measured; None if unknown.
    """

    pixels: Pixels
    mask: Mask
    lesion: Mask | None
    skin: Mask
    inside: bool
    rng: np.random.Generator
    observed: tuple[float, float] | None = None
    coloured: bool = True
    artifacts: Mask | None = None

    @cached_property
    def image(self) -> Colours:
        """The pixels as float32, 0 to 255."""
        return self.pixels.astype(np.float32)

    def taken(self, altered: Altered) -> Pixels:
        """Return the image at one dose as a model takes it, at the depth of the pixels."""
        return like(altered.image, self.pixels.dtype)

    @cached_property
    def lab(self) -> Colours:
        """The image in CIELAB, (height, width, 3)."""
        return to_lab(self.image)

    @cached_property
    def _seen(self) -> Colours:
        return to_rgb(self.lab)

    def recoloured(self, lab: Colours) -> Altered:
        """Return the image with other colours; what stays the same stays so to the bit.

        Args:
            lab: CIELAB (height, width, 3).
        """
        change = to_rgb(lab) - self._seen
        return Altered(np.clip(self.image + change, 0, 255))

    @cached_property
    def subject(self) -> Subject:
        """What computed features are measured on."""
        nothing = np.zeros(self.pixels.shape[:2], dtype=bool)
        lesion = nothing if self.lesion is None else self.lesion
        return Subject(in_colours(self.pixels), lesion, self.artifacts)

    @cached_property
    def grey(self) -> bool:
        """Whether the image has no colours."""
        if not self.coloured or self.pixels.shape[2] != COLOURS:
            return True
        return bool(np.ptp(self.pixels, axis=2).max() <= 1)

    @cached_property
    def shift(self) -> tuple[int, int] | None:
        """Rows and columns to plain skin as large as the mask; None if there is no room."""
        if not self.mask.any():
            return None
        free = self.skin & ~widened(self.mask)
        return shift_to_free(self.mask, free, self.rng, _MOST_OVERLAP)


@dataclass(frozen=True)
class Altered:
    """An image at one dose.

    Attributes:
        image: float32 (height, width, 3), 0 to 255.
        lesion: where the lesion is now, if it was moved; else None.
        mask: where an artifact is now, if it was moved; else None.
    """

    image: Colours
    lesion: Mask | None = None
    mask: Mask | None = None


AtDose = Callable[[float], Altered]


@dataclass(frozen=True)
class Dosed:
    """One image, ready for any dose.

    Attributes:
        edit: dose -> the image with so much more of the feature; 0 leaves it as it is.
        control: dose -> changed as much without the feature; None where that is not possible.
    """

    edit: AtDose
    control: AtDose | None


Prepare = Callable[[DoseCase], Dosed | None]


@dataclass(frozen=True)
class GradedEdit:
    """A named edit with a dose.

    Attributes:
        name: as in doses.csv.
        feature: the computed feature, or property of the image, that it changes; "" for any
            feature of `kinds` with a mask.
        kinds: kinds of feature with a mask that it is done to, where `feature` is "".
        doses: in the order of the table, without 0; positive is more of the feature.
        unit: of a dose.
        whole: whether it changes the whole image and needs no lesion.
        prepare: does it.
        measure: the feature's value in an image, of a feature of `kinds` with its own mask as the
            subject's artifacts; None for that of the computed feature, or of the detector.
        meaning: one line.
        caveat: why the edit does not do what the feature does, no sentence of its own; the report
            says it where `xattn.analysis.interventions.known` finds the edit poor.
        domains: names of `xattn.images.domains.DOMAINS` that it is for; () for all.
        needs_lesion: whether it needs the outline of a lesion.
    """

    name: str
    feature: str
    kinds: tuple[str, ...]
    doses: tuple[float, ...]
    unit: str
    whole: bool
    prepare: Prepare
    measure: Measure | None
    meaning: str
    caveat: str = ""
    domains: tuple[str, ...] = ()
    needs_lesion: bool = False


GRADED_EDITS: Registry[GradedEdit] = Registry(
    "graded edit", package="xattn.analysis.interventions.edits"
)


def graded_edit(
    name: str,
    *,
    doses: Sequence[float],
    unit: str,
    feature: str = "",
    kinds: tuple[str, ...] = (),
    whole: bool = False,
    measure: Measure | None = None,
    meaning: str = "",
    caveat: str = "",
    domains: tuple[str, ...] = (),
    needs_lesion: bool | None = None,
) -> Callable[[Prepare], Prepare]:
    """Register a graded edit; see `GradedEdit` for the arguments.

    Unless `needs_lesion` says otherwise, edits of a computed feature need a lesion, others none.
    """
    outlined = bool(feature) and not whole if needs_lesion is None else needs_lesion
    return GRADED_EDITS.register(
        name,
        lambda prepare: GradedEdit(
            name, feature, kinds, tuple(map(float, doses)), unit, whole, prepare, measure,
            meaning_of(prepare, meaning), caveat, domains, outlined,
        ),
    )  # fmt: skip


def lesion_of(case: DoseCase, whole: bool = False) -> Subject | None:
    """Return the image with its lesion; None if there is none that can be measured.

    Args:
        case: the image.
        whole: whether the lesion must lie wholly in it.
    """
    try:
        return None if case.subject.area == 0 or (whole and case.subject.cut) else case.subject
    except UnmeasurableError:
        return None


def laid_elsewhere(case: DoseCase, edit: AtDose) -> AtDose | None:
    """Return the control that lays the same change of the pixels over plain skin.

    What falls off the skin is left out, and the rest made larger by as much (at most twice).

    Args:
        case: the image.
        edit: whose change it is.

    Returns:
        dose -> image; None if there is no room.
    """
    if (shift := case.shift) is None:
        return None
    free: NDArray[np.bool_] = case.skin & ~widened(case.mask)

    def control(dose: float) -> Altered:
        change = edit(dose).image - case.image
        there = np.roll(change, shift, axis=(0, 1)) * free[..., None]
        kept = float(np.linalg.norm(there))
        factor = min(2.0, float(np.linalg.norm(change)) / kept) if kept else 1.0
        return Altered(np.clip(case.image + np.float32(factor) * there, 0, 255))

    return control
