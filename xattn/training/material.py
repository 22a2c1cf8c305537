"""What a training works on: decoded images, their labels, and the split each is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import XattnError
from xattn.training.binding import bind_by_metadata, describe_origin
from xattn.training.data import ImageCache, Progress, decode_all
from xattn.training.data_table import DataTable
from xattn.training.recipe import Recipe
from xattn.training.samples import Failure, Sample, check_classes, labels_of, select_samples
from xattn.training.splits import (
    SPLITS,
    Split,
    check_splits,
    make_splits,
    read_domains,
    read_splits,
)

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
        notes: a line for everything about the splits that a person should know.
    """

    classes: tuple[str, ...]
    cache: ImageCache
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()

    @property
    def domains(self) -> dict[str, str]:
        """Image id -> where it comes from, of those of which that is known."""
        return {s.id: s.domain for s in self.cache.samples if s.domain is not None}

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
    annotations: Annotations,
    images: Images,
    data: DataTable,
    splits: str | Path | None = None,
) -> tuple[list[Sample], list[Failure]]:
    """Take the samples of an annotation file that can and shall be used, and say what cannot.

    Args:
        annotations: as read by `read_annotations`.
        images: where the files are instead, see `select_samples`.
        data: how the recipe wants them split; see `bind_by_metadata`.
        splits: splits.csv of another training, which binds the images to their split in place of
            `split_column`; those that are not in it are left out without a word.

    Raises:
        XattnError: nothing is left, not every class occurs, or the splits cannot be read.
    """
    samples, left_out = select_samples(annotations, images)
    if splits is not None:
        data = data.model_copy(update={"split_column": None, "split_values": {}})
        given, domains = read_splits(splits), read_domains(splits)
        inside = [
            replace(sample, split=given[sample.id], domain=domains.get(sample.id))
            for sample in samples
            if sample.id in given
        ]
        if not inside:
            raise XattnError(
                f"Expected splits of the images of {annotations.path}, but they share no id: "
                f"{samples[0].id} here, {next(iter(given), 'none at all')} there"
            )
        samples = inside
    samples, without_split = bind_by_metadata(samples, annotations, data)
    check_classes(samples, annotations.labels)
    return samples, [*left_out, *without_split]


def prepare(
    samples: list[Sample],
    classes: tuple[str, ...],
    recipe: Recipe,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Material:
    """Decode samples and divide them.

    Args:
        samples: labelled images; those that are not bound to a split are dealt to one.
        classes: names of the label indices.
        recipe: says size, mode, and shares.
        workers, progress: see `decode_all`.

    Raises:
        XattnError: nothing could be read, splits leak, or a class is missing from one.
    """
    cache = decode_all(samples, recipe.preprocessing, workers=workers, progress=progress)
    data = recipe.data
    splits = make_splits(
        cache.samples, cache.hashes, val=data.val, test=data.test, seed=data.split_seed
    )
    check_splits(cache.samples, splits, cache.hashes, classes)
    return Material(classes, cache, splits, tuple(describe_origin(cache.samples, data)))
