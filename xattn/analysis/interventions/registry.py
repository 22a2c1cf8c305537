"""Interventions by registration: an edit of one image, and its control.

To add one, write a function of a `Case` that returns an `Edited` or None where it cannot be done:

    @intervention("my-edit", needs="present", features=("artifact",))
    def my_edit(case): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xattn.analysis.interventions.edits import (
    Mask,
    Pixels,
    inpainted,
    moved,
    occluded,
    pasted,
    shift_to_free,
    widened,
)

Needs = Literal["present", "absent"]


@dataclass(frozen=True)
class Case:
    """One image and one feature.

    Attributes:
        picture: uint8 (height, width, 3) in the model's view.
        mask: where the feature is; for an image without it, where it is in the donor.
        lesion: where the lesion is, or None if nobody said.
        skin: plain skin: neither lesion nor any artifact.
        inside: whether the feature is part of the lesion.
        donor, donor_skin: an image with the feature, for one without it, and its plain skin.
        stranger: reads another image, without the feature; gives None if there is none.
        rng: for this image.
    """

    picture: Pixels
    mask: Mask
    lesion: Mask | None
    skin: Mask
    inside: bool
    rng: np.random.Generator
    donor: Pixels | None = None
    donor_skin: Mask | None = None
    stranger: Callable[[], Pixels | None] = lambda: None

    def elsewhere(self) -> Mask | None:
        """Move the mask to where the feature is not; None if there is no room.

        For a structure to another part of the lesion if it fits there, else to plain skin.
        """
        apart = ~widened(self.mask)
        places = [self.skin & apart]
        if self.inside and self.lesion is not None:
            places.insert(0, self.lesion & apart)
        for free in places:
            shift = shift_to_free(self.mask, free, self.rng)
            if shift is not None:
                return np.asarray(moved(self.mask, shift), dtype=bool)
        return None


@dataclass(frozen=True)
class Edited:
    """The picture as it was changed, and changed as much where the feature is not.

    Attributes:
        treated: the picture without the feature, or with it.
        control: changed as much, or None where that is not possible.
        compared: what `control` was before, if it was another picture.
        borrowed: whether the control took another image's help, for want of room in its own.
    """

    treated: Pixels
    control: Pixels | None
    compared: Pixels | None = None
    borrowed: bool = False


Edit = Callable[[Case], Edited | None]


@dataclass(frozen=True)
class Intervention:
    """A named edit.

    Attributes:
        name: as in interventions.csv.
        needs: whether it works on images that show the feature or on those that do not.
        features: kinds of feature it is done to; "lesion" for the lesion itself.
        edit: what is done.
        summary: one line.
    """

    name: str
    needs: Needs
    features: tuple[str, ...]
    edit: Edit
    summary: str


INTERVENTIONS: dict[str, Intervention] = {}


def intervention(name: str, needs: Needs, features: tuple[str, ...]) -> Callable[[Edit], Edit]:
    """Register an edit; the first line of its docstring is its summary."""

    def register(edit: Edit) -> Edit:
        if name in INTERVENTIONS:
            raise ValueError(f"Intervention {name!r} is registered twice")
        summary = (edit.__doc__ or "").strip().splitlines()[0]
        INTERVENTIONS[name] = Intervention(name, needs, features, edit, summary)
        return edit

    return register


@intervention("inpaint", needs="present", features=("structure", "artifact"))
def remove(case: Case) -> Edited | None:
    """Remove the feature by inpainting; control: inpaint an equal patch elsewhere.

    Without room (hairs all over, dark corners) the same patch of an image without the feature.
    """
    if widened(case.mask).mean() > 0.5:  # too little is left to fill it from
        return None
    treated = inpainted(case.picture, case.mask)
    elsewhere = case.elsewhere()
    if elsewhere is not None:
        return Edited(treated, inpainted(case.picture, elsewhere))
    if (stranger := case.stranger()) is None:
        return Edited(treated, None)
    return Edited(treated, inpainted(stranger, case.mask), stranger, borrowed=True)


@intervention("insert", needs="absent", features=("artifact",))
def insert(case: Case) -> Edited | None:
    """Paste the feature from another image; control: paste that image's plain skin instead.

    Without room for that, what an image without the feature has at the same place.
    """
    if case.donor is None or case.donor_skin is None:
        return None
    treated = pasted(case.picture, case.donor, case.mask)
    shift = shift_to_free(case.mask, case.donor_skin, case.rng)
    if shift is None:
        stranger = case.stranger()
        control = None if stranger is None else pasted(case.picture, stranger, case.mask)
        return Edited(treated, control, borrowed=True)
    skin = np.asarray(moved(case.donor, (-shift[0], -shift[1])), dtype=np.uint8)
    return Edited(treated, pasted(case.picture, skin, case.mask))


@intervention("occlude", needs="present", features=("lesion",))
def occlude_lesion(case: Case) -> Edited | None:
    """Paint the lesion in the colour of the skin; control: an equal patch of skin."""
    if not case.skin.any():
        return None
    colour = np.median(case.picture[case.skin], axis=0)
    elsewhere = case.elsewhere()
    return Edited(
        occluded(case.picture, widened(case.mask), colour),
        None if elsewhere is None else occluded(case.picture, widened(elsewhere), colour),
    )


@intervention("occlude-surround", needs="present", features=("lesion",))
def occlude_surround(case: Case) -> Edited | None:
    """Paint all but the lesion in the colour of the skin; it has no control."""
    if not case.skin.any():
        return None
    colour = np.median(case.picture[case.skin], axis=0)
    return Edited(occluded(case.picture, ~widened(case.mask), colour), None)
