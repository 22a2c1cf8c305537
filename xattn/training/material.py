"""What a training works on: decoded images, their labels, and the split each is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xattn.splits.assign import Images, choose, describe_origin
from xattn.splits.balance import Alikeness, compare_splits
from xattn.splits.duplicates import refuse_leaks
from xattn.splits.metadata import Traits
from xattn.splits.samples import Sample, Split, groups_of, labels_of
from xattn.splits.splits import check_splits, count_splits, make_splits
from xattn.training.data import ImageCache, Progress, decode_all
from xattn.training.recipe import Recipe

__all__ = ["Images", "Material", "choose", "prepare"]


@dataclass(frozen=True)
class Material:
    """Images that are ready to be trained on.

    Attributes:
        classes: names, in the order of the logits.
        cache: the decoded images.
        splits: image id -> split, in the order of the cache.
        notes: a line for everything about the splits that a person should know.
        alike: how alike the splits are.
    """

    classes: tuple[str, ...]
    cache: ImageCache
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    alike: Alikeness = field(default_factory=Alikeness)

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
        return groups_of([self.cache.samples[row] for row in self.rows(split)])

    def describe(self) -> dict[str, dict[str, int]]:
        """Return split -> number of images, groups, and images of each class."""
        return count_splits(self.cache.samples, self.splits, self.classes)


def prepare(
    samples: list[Sample],
    classes: tuple[str, ...],
    recipe: Recipe,
    *,
    traits: Traits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Material:
    """Decode samples and divide them.

    Args:
        samples: labelled images; those that are not bound to a split are dealt to one.
        classes: names of the label indices.
        recipe: says size, mode, and fractions.
        traits: metadata of the samples.
        workers, progress: see `decode_all`.

    Raises:
        XattnError: nothing could be read, splits leak, or a class is missing from one.
    """
    traits = traits or Traits()
    refuse_leaks(samples, classes, recipe.data, traits.stratify)
    cache = decode_all(samples, recipe.preprocessing, workers=workers, progress=progress)
    data = recipe.data
    splits = make_splits(
        cache.samples,
        cache.hashes,
        val=data.val,
        test=data.test,
        seed=data.split_seed,
        stratify=traits.stratify,
    )
    check_splits(cache.samples, splits, cache.hashes, classes)
    alike = compare_splits(cache.samples, splits, cache.hashes, classes, traits.compared)
    notes = (*describe_origin(cache.samples, data), *alike.unlike)
    return Material(classes, cache, splits, notes, alike)
