"""Statistics of one form: sums of squared cross products.

Such a statistic says how to describe a quantity by a few columns (its *embedding*): A for the
feature, B for the prediction, both centred within each label. The statistic is the squared size of
A' B, scaled to [0, 1]. Under a permutation only B's rows move, so one matrix product per chunk of
permutations serves all features at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.ranks import centred_within, ranks_within
from xattn.stats.arrays import Floats
from xattn.stats.codes import label_slices
from xattn.stats.columns import Column

Embedding = Callable[[Floats], Floats]

_PRODUCT = 2**23


@dataclass(frozen=True)
class CrossProducts:
    """A sum of squared cross products.

    Attributes:
        name: what users call it.
        meaning: one line.
        embed: within-label ranks (n,) -> columns (n, K).
        per_label: square within each label and then add (finds effects whose sign differs from
            label to label), or add over labels and then square (stronger where it does not).
    """

    name: str
    meaning: str
    embed: Embedding
    per_label: bool

    def permuted(
        self,
        columns: Sequence[Column],
        rows: NDArray[np.intp],
        prediction: Floats,
        label: NDArray[np.intp],
        index: NDArray[np.int32],
    ) -> Floats:
        """Return the statistic of each feature under each permutation, see `Statistic`."""
        features = [feature_embedding(self, c, rows, label) for c in columns]
        target = prediction_embedding(self, prediction, label)
        return permuted_statistics(self, features, target, label, index)


def feature_embedding(
    stat: CrossProducts, column: Column, rows: NDArray[np.intp], label: NDArray[np.intp]
) -> Floats:
    """Return A (n, K) for some rows of a feature, centred within labels.

    Yes/no features are described by their indicator, and nominal ones by one indicator a category
    over the root of its size (Kruskal and Wallis' weights), whatever the statistic. Features of
    several columns are described column by column, side by side, as predictions are.

    Args:
        stat: how ranks are embedded.
        column: the feature.
        rows: (n,) which of its values.
        label: (n,) numbers.
    """
    values = column.values[rows]
    if values.ndim == 2:
        parts = [stat.embed(u) for u in ranks_within(values, label).T]
        return centred_within(np.concatenate(parts, axis=1), label)
    kinds = np.unique(values)
    if len(kinds) < 2:
        return np.zeros((len(rows), 1))
    if len(kinds) == 2 or column.nominal:
        kinds = kinds[1:] if len(kinds) == 2 else kinds
        columns = (values[:, None] == kinds).astype(np.float64)
        columns /= np.sqrt(columns.sum(axis=0))
    else:
        columns = stat.embed(ranks_within(values, label))
    return centred_within(columns, label)


def prediction_embedding(
    stat: CrossProducts, prediction: Floats, label: NDArray[np.intp]
) -> Floats:
    """Return B (n, K) for predictions (n, q): each column is embedded by itself, side by side.

    Args:
        stat: how ranks are embedded.
        prediction: (n, q) scores.
        label: (n,) numbers.
    """
    ranks = ranks_within(prediction, label)
    columns = np.concatenate([stat.embed(u) for u in ranks.T], axis=1)
    return centred_within(columns, label)


def permuted_statistics(
    stat: CrossProducts,
    features: Sequence[Floats],
    prediction: Floats,
    label: NDArray[np.intp],
    index: NDArray[np.int32],
) -> Floats:
    """Return the statistic of each feature under each permutation: (P, features), in [0, 1].

    Args:
        stat: the statistic.
        features: embeddings (n, K), K may differ.
        prediction: embedding (n, q).
        label: (n,) numbers, ascending.
        index: (P, n) rows of the prediction that take the places of rows 0 to n - 1.

    A feature or prediction that never varies within a label gives NaN.
    """
    strata = label_slices(label) if stat.per_label else [slice(0, len(label))]
    everything = np.concatenate(features, axis=1)
    begins = np.cumsum([0, *(f.shape[1] for f in features)])[:-1]
    columns = np.ascontiguousarray(prediction.T)
    total = np.zeros((len(index), len(features)))
    size = max(1, _PRODUCT // max(1, columns.size))
    room = np.empty((len(columns), min(size, len(index)), len(label)))
    for start in range(0, len(index), size):
        some = index[start : start + size].astype(np.intp)
        moved = room[:, : len(some)]  # (q, some permutations, n)
        for column, place in zip(columns, moved, strict=True):
            np.take(column, some, out=place, mode="clip")  # quicker than checking every number
        for rows in strata:
            cross = moved[:, :, rows] @ everything[rows]
            squares = np.square(cross).sum(axis=0) / (rows.stop - rows.start)
            total[start : start + size] += np.add.reduceat(squares, begins, axis=1)
    largest = np.array([_largest(f, prediction, strata) for f in features])
    return total / np.where(largest > 0, largest, np.nan)


def _largest(feature: Floats, prediction: Floats, strata: list[slice]) -> float:
    """Return the bound that Cauchy and Schwarz put on the statistic."""
    total = 0.0
    for rows in strata:
        own = np.linalg.norm(feature[rows].T @ feature[rows])
        other = np.linalg.norm(prediction[rows].T @ prediction[rows])
        total += float(own * other) / (rows.stop - rows.start)
    return total
