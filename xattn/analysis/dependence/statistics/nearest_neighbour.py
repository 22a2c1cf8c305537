"""Dependence seen in who is near whom: do neighbours by feature share neighbours by score?

A graph statistic in the manner of Friedman and Rafsky (1983, Annals of Statistics 11): the fraction
of the directed k-nearest-neighbour edges by prediction that are edges by feature too, within
labels. It stands in for the nearest-neighbour test of Runge (AISTATS 2018), whose information
estimate it resembles and whose cost of one search a permutation it avoids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.ranks import ranks_within
from xattn.analysis.dependence.registry import STATISTICS
from xattn.stats.arrays import Floats
from xattn.stats.codes import label_slices
from xattn.stats.columns import Column

NEIGHBOURS = 10
_LOOKUPS = 2**22


@dataclass(frozen=True)
class NearestNeighbours:
    """Shared nearest neighbours of feature and prediction, see the module."""

    name: str = "nearest-neighbour"
    meaning: str = "Shared nearest neighbours of feature and score: effects of any form."

    def permuted(
        self,
        columns: Sequence[Column],
        rows: NDArray[np.intp],
        prediction: Floats,
        label: NDArray[np.intp],
        index: NDArray[np.int32],
    ) -> Floats:
        """Return the fraction of edges in common under each permutation: (P, features)."""
        total, edges = np.zeros((len(index), len(columns))), 0
        target = ranks_within(prediction, label)
        features = [_coordinates(c, rows, label) for c in columns]
        for own in label_slices(label):
            size = own.stop - own.start
            begin, end = _edges(target[own])
            edges += len(begin)
            nearness = [_nearness(f[own]) for f in features]
            # Row r takes the score of row index[r]: the edge of those scores now joins these rows.
            place = np.empty((len(index), size), dtype=np.int32)
            moved = index[:, own] - np.int32(own.start)
            np.put_along_axis(place, moved, np.arange(size, dtype=np.int32)[None], axis=1)
            step = max(1, _LOOKUPS // max(1, len(begin)))
            for start in range(0, len(index), step):
                some = place[start : start + step]
                cells = some[:, begin].astype(np.intp) * size + some[:, end]
                for i, near in enumerate(nearness):
                    total[start : start + step, i] += near.reshape(-1)[cells].sum(axis=1)
        constant = [not _varies(f, label) for f in (*features, target)]
        total[:, constant[:-1]] = np.nan
        return total / edges if edges and not constant[-1] else np.full_like(total, np.nan)


STATISTICS.add("nearest-neighbour", NearestNeighbours())


def _coordinates(column: Column, rows: NDArray[np.intp], label: NDArray[np.intp]) -> Floats:
    """Return where each image lies by feature, (n, d): ranks, or a corner for each category."""
    values = column.values[rows]
    if column.nominal:
        kinds = np.unique(values)
        corners: Floats = (values[:, None] == kinds).astype(np.float64)
        return corners
    ranks = ranks_within(values, label)
    return ranks if ranks.ndim == 2 else ranks[:, None]


def _edges(points: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return begin and end of the edges to the nearest neighbours; ties go to the lower row."""
    from scipy.spatial import cKDTree

    size = len(points)
    k = min(NEIGHBOURS, size - 1)
    if k < 1:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    _, nearest = cKDTree(points).query(points, k=k + 1)
    nearest = nearest.reshape(size, k + 1)
    begin = np.repeat(np.arange(size), k + 1)
    end = nearest.reshape(-1).astype(np.intp)
    # Among equal scores a row need not be the nearest to itself: then its last neighbour goes.
    own = nearest == np.arange(size)[:, None]
    own[~own.any(axis=1), -1] = True
    keep = ~own.reshape(-1)
    return begin[keep], end[keep]


def _nearness(points: Floats) -> NDArray[np.float32]:
    """Return (n, n): 1 for the nearest neighbours by feature, an equal part for those that tie."""
    size = len(points)
    distance = sum((np.square(x[:, None] - x) for x in points.T), start=np.zeros((size, size)))
    np.fill_diagonal(distance, np.inf)
    k = min(NEIGHBOURS, size - 1)
    if k < 1:
        return np.zeros((size, size), dtype=np.float32)
    last = np.partition(distance, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied = distance < last * (1 - 1e-9), np.isclose(distance, last, rtol=1e-9, atol=0)
    fraction = (k - nearer.sum(axis=1)) / np.maximum(tied.sum(axis=1), 1)
    result: NDArray[np.float32] = (nearer + tied * fraction[:, None]).astype(np.float32)
    return result


def _varies(points: Floats, label: NDArray[np.intp]) -> bool:
    return any(bool((points[own] != points[own.start]).any()) for own in label_slices(label))
