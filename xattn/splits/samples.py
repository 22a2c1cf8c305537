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
    from xattn.annotations import AnnotatedImage, Annotations

Split = Literal["train", "val", "test", "ood"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""In `train` weights are fitted, `val` chooses among them, `test` and `ood` (of other origin) are
looked at once; those two may be empty."""

HELD_OUT: tuple[Split, ...] = ("test", "ood")
"""Splits whose images had no part in the training: neither in fitting nor in model selection."""
IN_TRAINING: tuple[Split, ...] = tuple(split for split in SPLITS if split not in HELD_OUT)


SHOWN, ABSENT, NOT_KNOWN = 1, 0, -1
"""What is known of a finding in an image."""


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        id: as in every table.
        file: where it is read from.
        label: index of its class; -1 where it has findings.
        findings: where several can be true of one image, what is known of each label of the
            annotation file: `SHOWN`, `ABSENT` or `NOT_KNOWN`; () where classes exclude each other.
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
    findings: tuple[int, ...] = ()


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
    """Take the images of an annotation file that have a label, or a list of findings.

    If any has a list, each label of the file is a question of its own, and the one label of an
    image is the one finding it shows.

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
    label = _findings if any(i.findings is not None for i in chosen) else _class
    samples, unlabelled = [], []
    for image in chosen:
        known = label(image, annotations.labels)
        if known is None:
            message = "Expected a label, but the annotation file has none"
            unlabelled.append(Failure(files[image.id], "label", message))
        else:
            index, findings = known
            samples.append(Sample(image.id, files[image.id], index, image.group, findings=findings))
    if not samples:
        raise XattnError(
            f"Expected images with a label, but none of {len(chosen)} has one"
            '; add "label" to the images of the annotation file'
        )
    return samples, unlabelled


Known = tuple[int, tuple[int, ...]]
"""Index of a class, or -1 and what is known of each finding."""


def _class(image: AnnotatedImage, labels: Sequence[str]) -> Known | None:
    return None if image.label is None else (list(labels).index(image.label), ())


def _findings(image: AnnotatedImage, labels: Sequence[str]) -> Known | None:
    code = {True: SHOWN, False: ABSENT, None: NOT_KNOWN}
    found = tuple(code[image.shows(name)] for name in labels)
    return (-1, found) if set(found) != {NOT_KNOWN} else None


def exclude_each_other(samples: Sequence[Sample]) -> bool:
    """Say whether one class is true of an image and no two, or any number of findings."""
    return not any(sample.findings for sample in samples)


def count_labels(samples: Sequence[Sample], classes: Sequence[str]) -> dict[str, int]:
    """Return class or finding -> number of images that show it, in the order of the classes."""
    if not exclude_each_other(samples):
        shown = (answers_of(samples) == SHOWN).sum(axis=0)
        return dict(zip(classes, shown.tolist(), strict=True))
    counts = np.bincount(labels_of(samples), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def labels_of(samples: Sequence[Sample]) -> NDArray[np.intp]:
    """Return the class indices (n,) of samples."""
    return np.array([s.label for s in samples], dtype=np.intp)


def answers_of(samples: Sequence[Sample]) -> NDArray[np.int8]:
    """Return what is known of each finding (n, findings): `SHOWN`, `ABSENT` or `NOT_KNOWN`."""
    return np.array([s.findings for s in samples], dtype=np.int8)


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
