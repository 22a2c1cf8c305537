"""A division of an annotation file's images without a training, for models of any framework."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from xattn.errors import UsageError
from xattn.images.prefetch import prefetch
from xattn.runs.atomic import replacing
from xattn.training.binding import Images, choose, describe_origin
from xattn.training.data_table import DataTable
from xattn.training.samples import Failure, Sample, Split
from xattn.training.splits import check_splits, count_splits, make_splits, write_splits

if TYPE_CHECKING:
    from xattn.annotations import Annotations

_THREADS = 4


@dataclass(frozen=True)
class Division:
    """Images and the split of each.

    Attributes:
        splits: image id -> split.
        domains: image id -> where it comes from, of those of which that is known.
        counts: split -> number of images, groups, and images of each class.
        notes: what a person should know.
    """

    splits: Mapping[str, Split]
    domains: Mapping[str, str]
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a line for each split that has images, and the notes."""
        lines = [
            f"{split}: {', '.join(f'{n} {what}' for what, n in facts.items())}"
            for split, facts in self.counts.items()
            if facts["images"]
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def write(self, path: str | Path) -> Path:
        """Write splits.csv, whole or not at all, with its folder."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as scratch:
            text = write_splits(self.splits, self.domains)
            scratch.write_text(text, encoding="utf-8", newline="")
        return path


def divide(
    annotations: Annotations,
    *,
    images: Images = None,
    data: Mapping[str, Any] | DataTable | None = None,
    on_fault: Callable[[Failure], None] | None = None,
) -> Division:
    """Divide images as `train` does: the same keys give the same splits if all can be decoded.

    Files are read for their bytes, of which copies stay together, and not decoded.

    Args:
        annotations: as read by `read_annotations`.
        images: where the images are, by id, if only some of them are meant.
        data: the keys of a recipe's [data] that concern the division.
        on_fault: called with every image that is left out.

    Raises:
        UsageError: a key is unknown or a value wrong.
        XattnError: groups or copies would be torn apart, or a split lacks a class.
    """
    table = data if isinstance(data, DataTable) else _table(data or {})
    samples, failures = choose(annotations, images, table)
    good: list[Sample] = []
    hashes: dict[str, str] = {}
    for sample, found in zip(samples, prefetch(_hash, samples, _THREADS), strict=True):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            good.append(sample)
            hashes[sample.id] = found
    if on_fault is not None:
        for failure in failures:
            on_fault(failure)
    splits = make_splits(good, hashes, val=table.val, test=table.test, seed=table.split_seed)
    check_splits(good, splits, hashes, annotations.labels)
    return Division(
        splits,
        {s.id: s.domain for s in good if s.domain is not None},
        count_splits(good, splits, annotations.labels),
        tuple(describe_origin(good, table)),
    )


def _table(data: Mapping[str, Any]) -> DataTable:
    try:
        return DataTable.model_validate(dict(data))
    except ValidationError as err:
        faults = (
            ".".join(map(str, e["loc"]))
            + ": " * bool(e["loc"])
            + e["msg"].removeprefix("Value error, ")
            for e in err.errors()
        )
        raise UsageError(f"Expected settings of a division, but got {'; '.join(faults)}") from None


def _hash(sample: Sample) -> str | Failure:
    try:
        with sample.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        return Failure(sample.file, "read", f"Expected a file, but got: {err.strerror}")
