"""What an image is like apart from its label: metadata as a few values that can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from xattn.errors import XattnError, near
from xattn.splits.data_table import DataTable, value_text

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Value = str | int | float | bool
Trait = dict[str, str]
"""Image id -> value as text, one of a few; `UNKNOWN` if it has none."""

UNKNOWN = "unknown"
OTHER = "other"

_MOST = 12
"""Values of a text column that stand for themselves; the rarest beyond are one."""
_FEW_NUMBERS = 6
"""Numbers that stand for themselves; of more, quarters are made."""


@dataclass(frozen=True)
class Traits:
    """Metadata columns of the images, each of a few values.

    Attributes:
        compared: all that splits can be compared by.
        stratify: those that the splits are made alike in.
    """

    compared: Mapping[str, Trait] = field(default_factory=dict)
    stratify: Mapping[str, Trait] = field(default_factory=dict)


def traits_of(annotations: Annotations, ids: Sequence[str], data: DataTable) -> Traits:
    """Return the metadata columns that splits can be made alike in, or compared by.

    Not compared are columns of one value alone, texts that are another for most images, such as
    file names, and what says the split itself.

    Args:
        annotations: the images' values.
        ids: images.
        data: names the columns that the splits are made alike in.

    Raises:
        XattnError: no image has a value of such a column, or nearly every image has another.
    """
    columns = _columns(annotations, ids)
    found = {name: binned(values, ids) for name, values in columns.items()}
    for name in data.stratify:
        if name not in columns:
            hint = near(name, columns) if columns else "; no image has any values"
            raise XattnError(
                f"Expected values of {name!r}, which `stratify` under [data] names, in "
                f"{annotations.path}, but no image has one{hint}"
            )
        if not found[name]:
            raise XattnError(
                f"Expected a column of few values in `stratify` under [data], but {name!r} has "
                f"{len(set(columns[name].values()))} in {len(columns[name])} images of "
                f"{annotations.path}"
            )
    compared = {
        name: trait
        for name, trait in found.items()
        if len(set(trait.values())) > 1 and name != data.split_column
    }
    return Traits(compared, {name: found[name] for name in data.stratify})


def binned(values: Mapping[str, Value], ids: Sequence[str]) -> Trait:
    """Return a column in a few values, or nothing of texts that are another for most images.

    Numbers are cut into quarters, of texts the rarest are taken together.

    Args:
        values: of the images that have one.
        ids: images.
    """
    inside = {one: values[one] for one in ids if one in values}
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in inside.values()):
        known = _numbers({one: float(value) for one, value in inside.items()})
    else:
        known = _texts({one: value_text(value) for one, value in inside.items()})
    return {one: known.get(one, UNKNOWN) for one in ids} if known else {}


def _numbers(values: Mapping[str, float]) -> Trait:
    if len(set(values.values())) <= _FEW_NUMBERS:
        return {one: value_text(value) for one, value in values.items()}
    edges = np.unique(np.quantile(list(values.values()), (0.25, 0.5, 0.75), method="lower"))
    names = [f"up to {edges[0]:g}"]
    names += [f"over {low:g} to {high:g}" for low, high in pairwise(edges)]
    names += [f"over {edges[-1]:g}"]
    places = np.searchsorted(edges, list(values.values()), side="left")
    return {one: names[place] for one, place in zip(values, places, strict=True)}


def _texts(values: Mapping[str, str]) -> Trait:
    counts = Counter(values.values())
    if len(counts) > _MOST and len(counts) > len(values) / 2:
        return {}
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    kept = set(ranked if len(ranked) <= _MOST else ranked[: _MOST - 1])
    return {one: value if value in kept else OTHER for one, value in values.items()}


def _columns(annotations: Annotations, ids: Sequence[str]) -> dict[str, dict[str, Value]]:
    """Return column -> image id -> value, of the images that have one."""
    wanted, columns = set(ids), dict[str, dict[str, Value]]()
    for image in annotations.images:
        if image.id in wanted:
            for name, value in image.values.items():
                columns.setdefault(name, {})[image.id] = value
    return columns
