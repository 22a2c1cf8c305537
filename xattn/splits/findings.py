"""Splits of images of which any number of findings may be true: checked, and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import XattnError, near
from xattn.splits.data_table import DataTable
from xattn.splits.samples import (
    ABSENT,
    IN_TRAINING,
    NOT_KNOWN,
    SHOWN,
    SPLITS,
    Sample,
    Split,
    answers_of,
    exclude_each_other,
)

if TYPE_CHECKING:
    from xattn.annotations import Annotations


def chosen_findings(annotations: Annotations, data: DataTable) -> tuple[Annotations, list[str]]:
    """Keep those labels of lists of findings that become outputs, and say which do not.

    Args:
        annotations: as read; a file of one class per image comes back as it is.
        data: `findings` names them, else all are taken that some images show and some lack.

    Returns:
        The annotations, with these labels alone, and a line on those that were left out.

    Raises:
        XattnError: a name is none of the file's, or nothing can be learnt of it; or nothing is
            left; or labels are no lists.
    """
    images = annotations.images
    if all(image.findings is None for image in images):
        if data.findings:
            raise XattnError(
                f"Expected lists of findings in {annotations.path}, as `findings` under [data] "
                "chooses among, but its images have one class each"
            )
        return annotations, []
    for name in data.findings:
        if name not in annotations.labels:
            raise XattnError(
                f"Expected `findings` under [data] to name labels of {annotations.path}, but got "
                f"{name!r}{near(name, annotations.labels)}"
            )
    wanted = data.findings or annotations.labels
    sides = {name: {image.shows(name) for image in images} for name in wanted}
    usable = tuple(name for name in wanted if {True, False} <= sides[name])
    lost = [name for name in wanted if name not in usable]
    unknown = [name for name in wanted if sides[name] == {None}]
    if unknown and (data.findings or len(unknown) == len(wanted)):
        raise XattnError(
            f"Expected images of which it is known whether they show {', '.join(unknown)}, but in "
            f"{annotations.path} it is known of none"
        )
    if lost and (data.findings or not usable):
        raise XattnError(
            f"Expected images that show and images that lack each of {', '.join(wanted)}, but "
            f"those of {annotations.path} are known to be all alike in {', '.join(lost)}; name "
            "others in `findings` under [data]"
        )
    note = f"No output of {', '.join(lost)}: in all images of which it is known they are the same"
    return replace(annotations, labels=usable), [note] * bool(lost)


def require_both_sides(samples: Sequence[Sample], classes: Sequence[str], where: str) -> None:
    """Make sure that of every finding there are images that show it, and images that do not.

    Args:
        samples: images with findings.
        classes: names of the findings.
        where: what the images are, for the message.

    Raises:
        XattnError: otherwise.
    """
    known = answers_of(samples)
    for side, what in ((SHOWN, "with"), (ABSENT, "known to be without")):
        counts = (known == side).sum(axis=0).tolist()
        if lacking := [name for name, n in zip(classes, counts, strict=True) if not n]:
            raise XattnError(
                f"Expected {where} {what} every finding, but got none of {', '.join(lacking)} "
                f"among {len(samples)}; name the others in `findings` under [data]"
            )


def check_findings(
    samples: Sequence[Sample], splits: Mapping[str, Split], classes: Sequence[str]
) -> None:
    """Make sure that every finding can be learnt, and one be scored on the validation images.

    Raises:
        XattnError: otherwise.
    """
    inside = {name: [s for s in samples if splits[s.id] == name] for name in IN_TRAINING}
    for split, images in inside.items():
        if not images:
            raise XattnError(
                f"Expected images in the split {split!r}, but got none; raise `{split}` under "
                "[data], or add images in groups of their own"
            )
    require_both_sides(inside["train"], classes, "training images")
    if not any(both_sides(answers_of(inside["val"]))):
        raise XattnError(
            "Expected validation images with and without some finding, but each is the same in "
            f"all {len(inside['val'])}; raise `val` under [data], or add images in groups of "
            "their own"
        )


def both_sides(known: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Say of which findings (findings,) some images (n, findings) show them and some do not."""
    return np.asarray((known == SHOWN).any(axis=0) & (known == ABSENT).any(axis=0))


def describe_findings(
    samples: Sequence[Sample], splits: Mapping[str, Split], classes: Sequence[str]
) -> list[str]:
    """Return lines about findings that are not known of some images, or not scored in a split."""
    if exclude_each_other(samples):
        return []
    unknown = (answers_of(samples) == NOT_KNOWN).sum(axis=0).tolist()
    shown = [f"{name} ({n})" for name, n in zip(classes, unknown, strict=True) if n]
    notes = [
        f"Not known of some images, and left out of loss and scores there: {', '.join(shown)}"
    ] * bool(shown)
    for split in SPLITS[1:]:
        inside = [s for s in samples if splits[s.id] == split]
        if not inside:
            continue
        scored = both_sides(answers_of(inside)).tolist()
        if lost := [name for name, one in zip(classes, scored, strict=True) if not one]:
            notes.append(f"All alike in {split}, and not scored there: {', '.join(lost)}")
    return notes


def rarest(shown: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return for each unit the rarest of what it shows, as iterative stratification begins.

    Sechidis, Tsoumakas and Vlahavas 2011: the rarest finding is the one that chance could put
    wholly on one side.
    """
    order = np.argsort((shown > 0).sum(axis=0), kind="stable")
    return np.asarray(order[(shown[:, order] > 0).argmax(axis=1)], dtype=np.intp)
