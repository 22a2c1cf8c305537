"""Splits of an annotation file's images without a training, for models of any framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from xattn.disk import writing_to
from xattn.errors import UsageError, XattnError
from xattn.paths import as_path
from xattn.runs.atomic import write_text
from xattn.splits.assign import Images, choose_samples, describe_origin
from xattn.splits.balance import SplitBalance, compare_splits
from xattn.splits.data_table import DataTable
from xattn.splits.duplicates import hash_files
from xattn.splits.findings import chosen_findings, describe_findings
from xattn.splits.from_lists import bind_by_lists, without_leaks
from xattn.splits.metadata import traits_of
from xattn.splits.samples import Failure, Split, exclude_each_other
from xattn.splits.splits import check_splits, count_splits, make_splits, write_splits
from xattn.splits.trap import bind_trap, describe_trap, presences

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class ImageSplits:
    """Images and the split of each.

    Attributes:
        splits: image id -> split.
        domains: image id -> where it comes from, of those of which that is known.
        counts: split -> number of images, groups, and images of each class.
        notes: what a person should know.
        balance: how alike the splits are.
    """

    splits: Mapping[str, Split]
    domains: Mapping[str, str]
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()
    balance: SplitBalance = field(default_factory=SplitBalance)

    def __str__(self) -> str:
        """Return a line for each split that has images, the notes, and how alike they are."""
        lines = [
            f"{split}: {', '.join(f'{n} {what}' for what, n in facts.items())}"
            for split, facts in self.counts.items()
            if facts["images"]
        ]
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *notes, *filter(None, [self.balance.table()])])

    def write(self, path: str | Path) -> Path:
        """Write splits.csv, whole or not at all, with its folder; beside it, how alike they are."""
        path = as_path(path, "a file")
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path.with_name(f"{path.stem}_alike.csv"), self.balance.to_csv())
        write_text(path, write_splits(self.splits, self.domains))
        return path


def split_images(
    annotations: Annotations,
    *,
    images: Images = None,
    data: Mapping[str, Any] | DataTable | None = None,
    lists: Mapping[str, str | Path] | None = None,
    trap: Sequence[str] = (),
    trap_share: float = 0.3,
    trap_strength: float = 0.8,
    on_problem: Callable[[Failure], None] | None = None,
) -> ImageSplits:
    """Split images as `train` does: the same keys give the same splits if all can be decoded.

    Files are read for their bytes, of which copies stay together, and not decoded.

    Args:
        annotations: as read by `read_annotations`.
        images: where the images are, by id, if only some of them are meant.
        data: the keys of a recipe's [data] that concern the splits.
        lists: split -> CSV of its images, in place of splits at random; see `bind_by_lists`. Images
            of which a group or a copy is held out are left out.
        trap: artifacts or structures that shall go with the label more than they do in train, val
            and test, and against it in ood; see `bind_trap`.
        trap_share: fraction of the images, for ood.
        trap_strength: fraction of these that is chosen against the label; the rest at random.
        on_problem: called with every image that is left out.

    Raises:
        UsageError: a key is unknown, a value wrong, or what decides on a split is said twice.
        XattnError: groups or copies would be torn apart, or a split lacks a class.
    """
    table = data if isinstance(data, DataTable) else _table(data or {})
    _require_one_say(table, lists, trap)
    annotations, unused = chosen_findings(annotations, table)
    samples, failures = choose_samples(annotations, images, table)
    if trap and not exclude_each_other(samples):
        raise XattnError(
            "Expected one class per image for a trap, which goes against the label, but "
            f"{annotations.path} has lists of findings; leave out --trap"
        )
    notes = [*unused, *describe_origin(samples, table)]
    traits = traits_of(annotations, [s.id for s in samples], table)
    if lists:
        samples, notes = bind_by_lists(samples, lists)
    good, hashes, unread = hash_files(samples)
    failures += unread
    if on_problem is not None:
        for failure in failures:
            on_problem(failure)
    if lists:
        good, leaks = without_leaks(good, hashes)
        notes += leaks
    if trap:
        flags = presences(annotations, [s.id for s in good], trap)
        seed = table.split_seed
        good = bind_trap(
            good, hashes, flags, fraction=trap_share, strength=trap_strength, seed=seed
        )
    splits = make_splits(
        good,
        hashes,
        val=table.val,
        test=table.test,
        seed=table.split_seed,
        stratify=traits.stratify,
    )
    check_splits(good, splits, hashes, annotations.labels)
    balance = compare_splits(good, splits, hashes, annotations.labels, traits.compared)
    notes += [*balance.unlike, *describe_findings(good, splits, annotations.labels)]
    if trap:
        notes += describe_trap(good, splits, flags, trap)
    return ImageSplits(
        splits,
        {s.id: s.domain for s in good if s.domain is not None},
        count_splits(good, splits, annotations.labels),
        tuple(notes),
        balance,
    )


def _require_one_say(
    table: DataTable, lists: Mapping[str, str | Path] | None, trap: Sequence[str]
) -> None:
    """Refuse two answers to the question which images are OOD or in a split."""
    told = {
        "ood_column": table.ood_column is not None,
        "split_column": table.split_column is not None,
        "lists": bool(lists),
        "trap": bool(trap),
    }
    said = [name for name, given in told.items() if given]
    if len(said) > 1 and ("lists" in said or "trap" in said):
        raise UsageError(f"Expected one of {', '.join(told)}, but got {' and '.join(said)}")


def _table(data: Mapping[str, Any]) -> DataTable:
    try:
        return DataTable.model_validate(dict(data))
    except ValidationError as err:
        problems = (
            ".".join(map(str, e["loc"]))
            + ": " * bool(e["loc"])
            + e["msg"].removeprefix("Value error, ")
            for e in err.errors()
        )
        raise UsageError(f"Expected settings of splits, but got {'; '.join(problems)}") from None
