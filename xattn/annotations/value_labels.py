"""Reference values of images, that a model's values are held against: as one label, and back.

The column `label` of a run holds "age = 54.0". Tests that keep within a label keep within strata
of the reference value: each value where there are few, as of a grade, else bins of as many images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.annotations.records import AnnotatedImage

_BETWEEN, _IS = "; ", " = "
MOST_STRATA = 10
"""Of more different values bins are made."""
_FEWEST = 20
"""Images of a bin."""


@dataclass(frozen=True)
class Strata:
    """Strata of a reference value.

    Attributes:
        names: (n,) of each image; None where the value is not known.
        ordered: those that occur, from the lowest.
    """

    names: NDArray[Any]
    ordered: tuple[str, ...]


def value_label(image: AnnotatedImage, names: Sequence[str]) -> str | None:
    """Return what is known of the values that a model's outputs are held against.

    Args:
        image: its value of a feature that is called as the output; for a single output else its
            label, read as a number.
        names: of the outputs.
    """
    found = []
    for name in names:
        known = image.values.get(name)
        known = image.label if known is None and len(names) == 1 else known
        number = _number(known)
        if number is not None:
            found.append(f"{_plain(name)}{_IS}{number!r}")
    return _BETWEEN.join(found) or None


def values_of(labels: Iterable[Any], name: str) -> NDArray[np.float64]:
    """Return the reference values of one output, (n,); NaN where it is not known.

    Args:
        labels: (n,) as `value_label` writes them; missing where nothing is known.
        name: of the output.
    """
    begin = f"{_plain(name)}{_IS}"
    found = []
    for label in labels:
        parts = label.split(_BETWEEN) if isinstance(label, str) else []
        own = [part.removeprefix(begin) for part in parts if part.startswith(begin)]
        found.append(float(own[0]) if own else math.nan)
    return np.array(found, dtype=np.float64)


def strata(labels: Iterable[Any], name: str) -> Strata:
    """Return the strata of one output's reference values.

    Args:
        labels, name: as of `values_of`.
    """
    values = values_of(labels, name)
    known = values[~np.isnan(values)]
    names: NDArray[Any] = np.full(len(values), None, dtype=object)
    distinct = np.unique(known)
    if len(distinct) <= MOST_STRATA:
        for value in distinct:
            names[values == value] = f"{value:g}"
        return Strata(names, tuple(f"{value:g}" for value in distinct))
    count = int(np.clip(len(known) // _FEWEST, 2, MOST_STRATA))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, count + 1)))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    ordered = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    for i, text in enumerate(ordered):
        names[~np.isnan(values) & (place == i)] = text
    return Strata(names, tuple(dict.fromkeys(ordered)))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _plain(name: str) -> str:
    return name.replace(";", ",")
