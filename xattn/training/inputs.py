"""What a network is trained on: images decoded and divided, once for many trainings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xattn.splits.metadata import traits_of
from xattn.splits.samples import Failure, Sample
from xattn.training.data import Progress
from xattn.training.material import Material, prepare
from xattn.training.recipe import Recipe
from xattn.training.record import text_sha256

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class Inputs:
    """What a network is trained on, ready to be used, once or many times.

    Attributes:
        annotations: the file that the labels are from.
        material: decoded images in their splits.
        skipped: files that could not be used.
        seconds: that decoding took.
    """

    annotations: Annotations
    material: Material
    skipped: tuple[Failure, ...]
    seconds: float

    @property
    def images_sha256(self) -> str:
        """Hash of all that the images say: ids, bytes, labels, groups and splits."""
        material = self.material
        facts = [
            (s.id, material.cache.hashes[s.id], s.label, s.group, material.splits[s.id])
            for s in material.cache.samples
        ]
        return text_sha256(repr(facts))


def gather(
    annotations: Annotations,
    recipe: Recipe,
    chosen: tuple[list[Sample], list[Failure]],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """Decode the images that were chosen and divide them.

    Args:
        annotations: where they are from.
        recipe: says size, mode and shares.
        chosen: what `choose` returned.
        workers, progress: see `decode_all`.

    Raises:
        XattnError: nothing could be read, splits leak, or a class is missing from one.
    """
    began = time.perf_counter()
    samples, left_out = chosen
    # Before decoding: a wrong name should not wait for it.
    traits = traits_of(annotations, [s.id for s in samples], recipe.data)
    material = prepare(
        samples,
        annotations.labels,
        recipe,
        traits=traits,
        workers=workers,
        progress=progress,
    )
    faults = [Failure(annotations.path, "annotation", str(fault)) for fault in annotations.faults]
    skipped = (*faults, *left_out, *material.cache.failures)
    return Inputs(annotations, material, skipped, time.perf_counter() - began)
