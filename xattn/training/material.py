"""What a training works on: decoded images, their labels, and the split each is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import XattnError
from xattn.training.data import ImageCache, Progress, decode_all
from xattn.training.recipe import Recipe
from xattn.training.samples import Failure, Sample, check_classes, labels_of, select_samples
from xattn.training.splits import SPLITS, Split, check_splits, make_splits

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Images = str | Path | Iterable[str | Path] | None


@dataclass(frozen=True)
class Material:
    """Images that are ready to be trained on.

    Attributes:
        classes: names, in the order of the logits.
        cache: the decoded images.
        splits: image id -> split, in the order of the cache.
    """

    classes: tuple[str, ...]
    cache: ImageCache
    splits: Mapping[str, Split]

    def rows(self, split: Split) -> NDArray[np.intp]:
        """Return the rows of the cache that are in a split."""
        inside = [self.splits[sample.id] == split for sample in self.cache.samples]
        return np.flatnonzero(inside)

    def labels(self, split: Split) -> NDArray[np.intp]:
        """Return the class indices of a split."""
        return labels_of(self.cache.samples)[self.rows(split)]

    def groups(self, split: Split) -> list[str]:
        """Return the group of each image of a split; one without is its own."""
        samples = [self.cache.samples[row] for row in self.rows(split)]
        return [f"group {s.group}" if s.group is not None else f"image {s.id}" for s in samples]

    def describe(self) -> dict[str, dict[str, int]]:
        """Return split -> number of images, groups, and images of each class."""
        return {
            split: {
                "images": len(self.rows(split)),
                "groups": len(set(self.groups(split))),
                **{
                    name: int((self.labels(split) == index).sum())
                    for index, name in enumerate(self.classes)
                },
            }
            for split in SPLITS
        }


def choose(
    annotations: Annotations, images: Images, splits: Mapping[str, Split] | None
) -> tuple[list[Sample], list[Failure]]:
    """Take the samples of an annotation file that can and shall be used, and say what cannot.

    Args:
        annotations: as read by `read_annotations`.
        images: where the files are instead, see `select_samples`.
        splits: image id -> split; images that are in none are left out without a word.

    Raises:
        XattnError: nothing is left, or not every class occurs.
    """
    samples, unlabelled = select_samples(annotations, images)
    if splits is not None:
        inside = [sample for sample in samples if sample.id in splits]
        if not inside:
            raise XattnError(
                f"Expected splits of the images of {annotations.path}, but they share no id: "
                f"{samples[0].id} here, {next(iter(splits), 'none at all')} there"
            )
        samples = inside
    check_classes(samples, annotations.labels)
    return samples, unlabelled


def prepare(
    samples: list[Sample],
    classes: tuple[str, ...],
    recipe: Recipe,
    *,
    splits: Mapping[str, Split] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Material:
    """Decode samples and divide them.

    Args:
        samples: labelled images.
        classes: names of the label indices.
        recipe: says size, mode, and shares.
        splits: of another training, to be used again; else they are made.
        workers, progress: see `decode_all`.

    Raises:
        XattnError: nothing could be read, splits leak, or a class is missing from one.
    """
    cache = decode_all(samples, recipe.preprocessing, workers=workers, progress=progress)
    if splits is None:
        data = recipe.data
        splits = make_splits(
            cache.samples, cache.hashes, val=data.val, test=data.test, seed=data.split_seed
        )
    used = {sample.id: splits[sample.id] for sample in cache.samples}
    check_splits(cache.samples, used, cache.hashes, classes)
    return Material(classes, cache, used)
