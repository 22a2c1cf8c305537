"""Ranks within each label, on one scale for labels of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def ranks_within(values: NDArray[np.floating], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return mid-rank / (n + 1) within each label, n being the label's size: in (0, 1).

    These are van Elteren's modified ridits: sums of their products weight the labels as the
    locally most powerful stratified rank test does, and not by the square of their sizes.

    Args:
        values: (n,) or (n, k), ranked column by column.
        label: (n,) numbers from 0.
    """
    result = np.empty(values.shape)
    for number in np.unique(label):
        rows = np.flatnonzero(label == number)
        result[rows] = rankdata(values[rows], axis=0) / (len(rows) + 1)
    return result


def centred_within(values: NDArray[np.floating], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Subtract each label's mean from values (n, k); what is constant becomes exactly 0."""
    counts = np.maximum(np.bincount(label), 1)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, label, values)
    centred = values - (sums / counts[:, None])[label]
    return np.where(np.abs(centred) > 1e-12 * np.abs(values).max(initial=0), centred, 0.0)
