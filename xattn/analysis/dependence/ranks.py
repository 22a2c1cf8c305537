"""Ranks within each label, on one scale for labels of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranks_within(values: NDArray[np.floating], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return mid-rank / (n + 1) within each label, n being the label's size: in (0, 1).

    These are van Elteren's modified ridits: sums of their products weight the labels as the
    locally most powerful stratified rank test does, and not by the square of their sizes.

    Args:
        values: (n,) or (n, k), ranked column by column.
        label: (n,) numbers from 0.
    """
    if values.ndim == 2:
        return np.stack([ranks_within(column, label) for column in values.T], axis=1)
    order = np.lexsort((values, label))
    value, own = values[order], label[order]
    new_label = np.diff(own, prepend=-1) != 0
    new = new_label | (np.diff(value, prepend=np.nan) != 0)  # does a run of ties begin here?
    first = np.flatnonzero(new)
    after = np.append(first[1:], len(value))
    middle = (first + after + 1) / 2  # mean rank of each run, counted over all labels
    begins = np.flatnonzero(new_label)[np.cumsum(new_label) - 1]
    ranks = np.empty(len(value))
    ranks[order] = np.repeat(middle, after - first) - begins
    ranks /= np.bincount(label)[label] + 1
    return ranks


def centred_within(values: NDArray[np.floating], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Subtract each label's mean from values (n, k); what is constant becomes exactly 0.

    Args:
        values: (n, k).
        label: (n,) numbers.

    Returns:
        (n, k).
    """
    counts = np.maximum(np.bincount(label), 1)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, label, values)
    centred = values - (sums / counts[:, None])[label]
    return np.where(np.abs(centred) > 1e-12 * np.abs(values).max(initial=0), centred, 0.0)
