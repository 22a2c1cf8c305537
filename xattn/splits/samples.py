"""Which images of an annotation file can be trained on, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xattn.annotations.matching import examples, with_known_ids
from xattn.errors import XattnError
from xattn.images.find import find_images

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Split = Literal["train", "val", "test", "ood"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""In `train` weights are fitted, `val` chooses among them, `test` and `ood` (of other origin) are
looked at once; those two may be empty."""

HELD_OUT: tuple[Split, ...] = ("test", "ood")
"""Splits whose images had no part in the training: neither in fitting nor in model selection."""
IN_TRAINING: tuple[Split, ...] = tuple(split for split in SPLITS if split not in HELD_OUT)


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        id: as in every table.
        file: where it is read from.
        label: index of its class.
        group: what must not be torn apart (a lesion, a patient, a slide); None if it stands alone.
        domain: where it comes from (a site, a centre), as text; None if that is not known.
        split: the split it is bound to, by a file or by metadata; None if it is to be assigned.
    """

    id: str
    file: Path
    label: int
    group: str | None = None
    domain: str | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Failure:
    """One file that could not be used: a line of errors.csv."""

    file: Path
    stage: str
    error: str

    def __str__(self) -> str:
        return self.error if str(self.file) in self.error else f"{self.file}: {self.error}"


def select_samples(
    annotations: Annotations, images: str | Path | Iterable[str | Path] | None = None
) -> tuple[list[Sample], list[Failure]]:
    """Take the images of an annotation file that have a label.

    Args:
        annotations: as read by `read_annotations`.
        images: where to look for the files instead, by id, as `find_images` understands it; what
            is not there is left out without a word, so that a folder can name a subset.

    Returns:
        The samples in the file's order, and the images without a label.

    Raises:
        XattnError: nothing is labelled, nothing is found, or there is only one class.
    """
    chosen = list(annotations.images)
    files = {image.id: image.file for image in chosen}
    if images is not None:
        found, matched = with_known_ids(find_images(images, named=files.values()), annotations)
        files = {image.id: image.path for image in found}
        if not matched.found:
            raise XattnError(
                f"Expected images with ids of the annotation file in {images}, but of its "
                f"{len(annotations.images)} images none is there; the id is the file's name "
                f"without its ending: {examples(list(files), [image.id for image in chosen])}"
            )
        chosen = [i for i, at in zip(chosen, matched.place, strict=True) if at is not None]
    index = {name: i for i, name in enumerate(annotations.labels)}
    samples = [
        Sample(image.id, files[image.id], index[image.label], image.group)
        for image in chosen
        if image.label is not None
    ]
    unlabelled = [
        Failure(files[image.id], "label", "Expected a label, but the annotation file has none")
        for image in chosen
        if image.label is None
    ]
    if not samples:
        if several := sum(image.findings is not None for image in chosen):
            raise XattnError(
                f"Expected images with one class each, but {several} have lists of findings, any "
                "number of which may be true of one image; make a file of one class per image"
            )
        raise XattnError(
            f"Expected images with a label, but none of {len(chosen)} has one"
            '; add "label" to the images of the annotation file'
        )
    return samples, unlabelled


def count_labels(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, int]:
    """Return class name -> number of images, in the order of the classes."""
    counts = np.bincount(labels_of(samples), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def labels_of(samples: Sequence[Sample]) -> NDArray[np.intp]:
    """Return the class indices (n,) of samples."""
    return np.array([s.label for s in samples], dtype=np.intp)


def groups_of(samples: Sequence[Sample]) -> list[str]:
    """Return the group of each sample; one without is its own."""
    return [f"group {s.group}" if s.group is not None else f"image {s.id}" for s in samples]


def check_classes(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    """Make sure that there is something to tell apart.

    Raises:
        XattnError: fewer than two classes, or a class without a single image.
    """
    counts = count_labels(samples, classes)
    if len(classes) < 2:
        raise XattnError(
            f"Expected at least two classes, but got only {', '.join(classes) or 'none'}"
            '; declare them under "labels" of the annotation file'
        )
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise XattnError(
            f"Expected images of every class, but got none of {', '.join(empty)} ({shown})"
            '; label some, or remove the class from "labels" of the annotation file'
        )
