"""Labels and groups of any kind as small integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def codes(values: ArrayLike) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return (codes (n,), names (k,)): names[codes] are the values; -1 where one is missing."""
    found, names = pd.factorize(pd.Series(values), sort=True)
    return np.asarray(found, dtype=np.intp), np.asarray(names)


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Return the group number of each of n rows, 0 to the number of groups - 1.

    A row whose group is missing is a group of its own, as is every row if `groups` is None.

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
    """Return the rows of each label, for labels (n,) in ascending order."""
    ends = np.flatnonzero(np.diff(label, append=-1)) + 1
    return [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
