"""What a network is trained on: decoded images with their labels, each in its split.

    annotation file ──> samples ──> DecodedImages ──> Dataset ──> batches
                 `choose_samples`  `decode_images`  `load_dataset`  `BatchLoader`

Images are decoded once and stay in memory; a search trains on one data set many times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import XattnError
from xattn.runs.record import text_sha256
from xattn.splits.assign import describe_origin
from xattn.splits.balance import SplitBalance, compare_splits
from xattn.splits.duplicates import refuse_leaks
from xattn.splits.findings import describe_findings
from xattn.splits.metadata import traits_of
from xattn.splits.samples import (
    Failure,
    Sample,
    Split,
    answers_of,
    exclude_each_other,
    groups_of,
    labels_of,
)
from xattn.splits.splits import check_splits, count_splits, make_splits
from xattn.training.decoding import DecodedImages, Progress, decode_images
from xattn.training.recipe import Recipe

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class Dataset:
    """Images that are ready to be trained on, once or many times.

    Attributes:
        annotations: the file that the labels are from.
        classes: names, in the order of the logits.
        images: the decoded images.
        splits: image id -> split, in the order of the images.
        notes: a line for everything about the splits that a person should know.
        balance: how alike the splits are.
        skipped: files that could not be used.
        seconds: that decoding took.
    """

    annotations: Path
    classes: tuple[str, ...]
    images: DecodedImages
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    balance: SplitBalance = field(default_factory=SplitBalance)
    skipped: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def domains(self) -> dict[str, str]:
        """Image id -> where it comes from, of those of which that is known."""
        return {s.id: s.domain for s in self.images.samples if s.domain is not None}

    @property
    def images_sha256(self) -> str:
        """Hash of all that the images say: ids, bytes, labels, groups and splits."""
        facts = [
            (s.id, self.images.hashes[s.id], s.findings or s.label, s.group, self.splits[s.id])
            for s in self.images.samples
        ]
        return text_sha256(repr(facts))

    def rows(self, split: Split) -> NDArray[np.intp]:
        """Return the rows of the decoded images that are in a split."""
        inside = [self.splits[sample.id] == split for sample in self.images.samples]
        return np.flatnonzero(inside)

    @property
    def exclusive(self) -> bool:
        """Whether one class is true of an image and no two, or any number of findings."""
        return exclude_each_other(self.images.samples)

    def labels(self, split: Split) -> NDArray[np.intp]:
        """Return the class indices of a split, where classes exclude each other."""
        return labels_of(self.images.samples)[self.rows(split)]

    def answers(self, split: Split) -> NDArray[np.int8]:
        """Return what is known of each finding in a split, (n, findings), see `answers_of`."""
        return answers_of(self.images.samples)[self.rows(split)]

    def groups(self, split: Split) -> list[str]:
        """Return the group of each image of a split; one without is its own."""
        return groups_of([self.images.samples[row] for row in self.rows(split)])

    def describe(self) -> dict[str, dict[str, int]]:
        """Return split -> number of images, groups, and images of each class."""
        return count_splits(self.images.samples, self.splits, self.classes)


def load_dataset(
    annotations: Annotations,
    recipe: Recipe,
    chosen: tuple[list[Sample], list[Failure]],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Decode the images that were chosen, and split those that are not bound to a split.

    Args:
        annotations: where they are from.
        recipe: says size, mode and fractions.
        chosen: what `choose_samples` returned.
        workers, progress: see `decode_images`.

    Raises:
        XattnError: nothing could be read, splits leak, or a class is missing from one.
    """
    began = time.perf_counter()
    (samples, left_out), classes, data = chosen, annotations.labels, recipe.data
    if recipe.train.sampling == "balanced" and not exclude_each_other(samples):
        raise XattnError(
            f'Expected sampling = "shuffled" under [train], but got "balanced": {annotations.path} '
            "has lists of findings, of which one image counts for several; class_weights = "
            '"balanced" weighs each finding by itself'
        )
    # Before decoding: a wrong name should not wait for it.
    traits = traits_of(annotations, [s.id for s in samples], data)
    refuse_leaks(samples, classes, data, traits.stratify)
    images = decode_images(samples, recipe.preprocessing, workers=workers, progress=progress)
    splits = make_splits(
        images.samples,
        images.hashes,
        val=data.val,
        test=data.test,
        seed=data.split_seed,
        stratify=traits.stratify,
    )
    check_splits(images.samples, splits, images.hashes, classes)
    balance = compare_splits(images.samples, splits, images.hashes, classes, traits.compared)
    problems = [
        Failure(annotations.path, "annotation", str(problem)) for problem in annotations.problems
    ]
    return Dataset(
        annotations=annotations.path,
        classes=classes,
        images=images,
        splits=splits,
        notes=(
            *describe_origin(images.samples, data),
            *balance.unlike,
            *describe_findings(images.samples, splits, classes),
        ),
        balance=balance,
        skipped=(*problems, *left_out, *images.failures),
        seconds=time.perf_counter() - began,
    )
