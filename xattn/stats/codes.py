"""Labels and groups of any kind as small integers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def codes(values: ArrayLike) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return (codes (n,), names (k,)): names[codes] are the values; -1 where one is missing.

    Args:
        values: (n,) of any kind.
    """
    found, names = pd.factorize(pd.Series(values), sort=True)
    return np.asarray(found, dtype=np.intp), np.asarray(names)


def positions(values: pd.Series[Any], names: Sequence[str]) -> NDArray[np.intp]:
    """Return the place of each value among the names, -1 where it is missing or another.

    Args:
        values: (n,).
        names: in their order.
    """
    return np.asarray(pd.Index(list(names)).get_indexer(pd.Index(values)), dtype=np.intp)


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Return the group number of each of n rows, 0 to the number of groups - 1.

    A row whose group is missing is a group of its own, as is every row if `groups` is None.

    Args:
        groups: (n,) values of any kind, or None.
        n: number of rows.

    Raises:
        ValueError: there are not n of them.
    """
    if groups is None:
        return np.arange(n, dtype=np.intp)
    found, names = codes(groups)
    if len(found) != n:
        raise ValueError(f"Expected {n} groups, one a row, but got {len(found)}")
    alone = found < 0
    found[alone] = len(names) + np.arange(alone.sum())
    return found


def label_slices(label: NDArray[np.intp]) -> list[slice]:
    """Return the rows of each label, for labels (n,) in ascending order.

    Args:
        label: (n,) numbers, ascending.
    """
    bounds = [*np.flatnonzero(np.diff(label, prepend=-1)).tolist(), len(label)]
    return [slice(a, b) for a, b in pairwise(bounds)]
