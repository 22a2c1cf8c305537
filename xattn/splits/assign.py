"""Which images are used, and what binds some of them to a split: a file, or metadata.

Metadata tell the images of other origin, or name the split that came with the data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from xattn.errors import XattnError, near
from xattn.splits.data_table import DataTable, Destination, value_text
from xattn.splits.findings import require_both_sides
from xattn.splits.samples import (
    SPLITS,
    Failure,
    Sample,
    check_classes,
    exclude_each_other,
    select_samples,
)
from xattn.splits.splits import read_domains, read_splits

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Images = str | Path | Iterable[str | Path] | None

_MOST_SHOWN = 8


def choose_samples(
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
        XattnError: nothing is left, not every class occurs (of findings: both with and without),
            or the splits cannot be read.
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
    if exclude_each_other(samples):
        check_classes(samples, annotations.labels)
    else:
        require_both_sides(samples, annotations.labels, "images")
    return samples, [*left_out, *without_split]


def bind_by_metadata(
    samples: Sequence[Sample], annotations: Annotations, data: DataTable
) -> tuple[list[Sample], list[Failure]]:
    """Tell each sample where it comes from, and bind it to a split where the recipe says so.

    Of `ood_column`, a value among `ood_values` binds to "ood"; every other value, or none, leaves
    the sample to be assigned to train, val or test at random. Of `split_column`, the value is the
    split, by way of `split_values` if there are any; images bound to "none" are left out without a
    word.

    Args:
        samples: images of the annotation file; what they are bound to already is kept.
        annotations: their values.
        data: the recipe's [data].

    Returns:
        The samples, and those left out because they have no value of `split_column`.

    Raises:
        XattnError: no image of the file has a value of a column, a value of `ood_values` occurs
            nowhere, one of `split_column` is no split, or the two columns contradict each other.
    """
    failures: list[Failure] = []
    bound = list(samples)
    if data.split_column is not None:
        bound, failures = _by_split(bound, annotations, data)
    if data.ood_column is not None:
        bound = _by_origin(bound, annotations, data)
    return bound, failures


def describe_origin(samples: Sequence[Sample], data: DataTable) -> list[str]:
    """Return lines about what is not known of where samples come from."""
    unknown = sum(sample.domain is None for sample in samples)
    if data.ood_column is None or not unknown:
        return []
    return [
        f"{unknown} of {len(samples)} images have no value of {data.ood_column}; they count as "
        "in-distribution"
    ]


def _by_split(
    samples: list[Sample], annotations: Annotations, data: DataTable
) -> tuple[list[Sample], list[Failure]]:
    column = str(data.split_column)
    values = _column(annotations, column, "split_column")
    targets: Mapping[str, Destination] = data.split_values or {s: s for s in SPLITS}
    unknown = Counter(v for s in samples if (v := values.get(s.id)) and v not in targets)
    if unknown:
        raise XattnError(
            f"Expected `split_values` under [data] to say the split of every value of {column}, "
            f"but got {_counted(unknown)}; map each to {', '.join(get_args(Destination)[:-1])}, "
            'or to "none" to leave its images out'
        )
    bound, failures = [], []
    for sample in samples:
        value = values.get(sample.id)
        if value is None:
            message = f"Expected a value of {column} to say its split, but it has none"
            failures.append(Failure(sample.file, "split", message))
        elif (target := targets[value]) != "none":
            bound.append(replace(sample, split=target))
    if not bound:
        raise XattnError(
            f"Expected images in a split, but {column} of {annotations.path} leaves out all of them"
        )
    return bound, failures


def _by_origin(samples: list[Sample], annotations: Annotations, data: DataTable) -> list[Sample]:
    column = str(data.ood_column)
    values = _column(annotations, column, "ood_column")
    wanted = {value_text(value) for value in data.ood_values}
    for value in sorted(wanted - set(values.values())):
        raise XattnError(
            f"Expected a value of {column} in `ood_values` under [data], but no image of "
            f"{annotations.path} has {value!r}{near(value, set(values.values()))}"
        )
    bound = []
    for sample in samples:
        domain = values.get(sample.id)
        split = sample.split
        if domain in wanted:
            if split not in (None, "ood"):
                raise XattnError(
                    f"Expected images whose {column} is {domain} in the split 'ood' alone, as "
                    f"`ood_values` under [data] says, but {sample.id} is bound to {split!r}; "
                    "change `ood_values`, or what binds it"
                )
            split = "ood"
        bound.append(replace(sample, domain=domain, split=split))
    return bound


def _column(annotations: Annotations, column: str, key: str) -> dict[str, str]:
    """Return image id -> value, as text, of the images of the file that have one."""
    values = {
        image.id: value_text(image.values[column])
        for image in annotations.images
        if column in image.values
    }
    if not values:
        known = {name for image in annotations.images for name in image.values}
        hint = near(column, known) if known else "; no image has any values"
        raise XattnError(
            f"Expected values of `{key}` {column!r} in {annotations.path}, but no image has "
            f"one{hint}"
        )
    return values


def _counted(counts: Counter[str]) -> str:
    shown = ", ".join(f"{value!r} ({n} images)" for value, n in counts.most_common(_MOST_SHOWN))
    return shown + (f" and {len(counts) - _MOST_SHOWN} more" if len(counts) > _MOST_SHOWN else "")
