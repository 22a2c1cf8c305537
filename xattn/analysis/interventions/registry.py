"""Interventions by registration: an edit of one image, and its control.

To add one, write a function of a `Case` that returns an `Edited`, or None where it cannot be done,
in a file of the package `edits`:

    @intervention("my-edit", needs="present", features=("artifact",))
    def my_edit(case): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xattn.analysis.interventions.pixels import Mask, moved, shift_to_free, widened
from xattn.images.levels import Pixels
from xattn.registry import Registry, meaning_of

Needs = Literal["present", "absent"]


@dataclass(frozen=True)
class Case:
    """One image and one feature.

    Attributes:
        image: (height, width, channels) in the model's view; uint8, or float32 if it is deep.
        mask: where the feature is; for an image without it, where it is in the donor.
        lesion: where the lesion is, or None if nobody said.
        skin: plain skin: neither lesion nor any artifact.
        inside: whether the feature is part of the lesion.
        donor, donor_skin: an image with the feature, for one without it, and its plain skin.
        reference: reads a reference image without the feature; gives None if there is none.
        rng: for this image.
    """

    image: Pixels
    mask: Mask
    lesion: Mask | None
    skin: Mask
    inside: bool
    rng: np.random.Generator
    donor: Pixels | None = None
    donor_skin: Mask | None = None
    reference: Callable[[], Pixels | None] = lambda: None

    def elsewhere(self) -> Mask | None:
        """Move the mask to where the feature is not; None if there is no room.

        A structure's to another part of the lesion alone: a patch of plain skin has less to lose
        than one of a lesion, whatever the structure is to the model.

        Returns:
            (height, width).
        """
        within = self.skin if self.lesion is None or not self.inside else self.lesion
        shift = shift_to_free(self.mask, within & ~widened(self.mask), self.rng)
        return None if shift is None else np.asarray(moved(self.mask, shift), dtype=bool)


@dataclass(frozen=True)
class Edited:
    """The image as it was changed, and changed as much where the feature is not.

    Attributes:
        treated: the image without the feature, or with it.
        control: changed as much, or None where that is not possible.
        compared: what `control` was before, if it was another image.
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
        meaning: one line.
        domains: names of `xattn.images.domains.DOMAINS` that it is for; () for all.
        detected: whether it may be done under a detector's masks, to artifacts that have no others.
    """

    name: str
    needs: Needs
    features: tuple[str, ...]
    edit: Edit
    meaning: str
    domains: tuple[str, ...] = ()
    detected: bool = False


INTERVENTIONS: Registry[Intervention] = Registry(
    "intervention", package="xattn.analysis.interventions.edits"
)


def intervention(
    name: str,
    *,
    needs: Needs,
    features: tuple[str, ...],
    meaning: str = "",
    domains: tuple[str, ...] = (),
    detected: bool = False,
) -> Callable[[Edit], Edit]:
    """Register an edit; see `Intervention` for the arguments."""
    return INTERVENTIONS.register(
        name,
        lambda edit: Intervention(
            name, needs, features, edit, meaning_of(edit, meaning), domains, detected
        ),
    )
