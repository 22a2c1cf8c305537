"""Statistics of conditional dependence, nearly all of one form: sums of squared cross products.

Such a statistic says how to describe a quantity by a few columns (its *embedding*): A for the
feature, B for the prediction, both centred within each label. The statistic is the squared size of
A' B, scaled to [0, 1]. Under a permutation only B's rows move, so one matrix product per chunk of
permutations serves all features at once. To add a statistic, write its embedding:

    @statistic("my-name", per_label=True)
    def my_embedding(u):
        '''Columns (n, K) for within-label ranks u (n,) in (0, 1).'''

One of another form has a `name` and a method `permuted`, see `Measure` and `neighbours`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from xattn.analysis.dependence.ranks import centred_within, ranks_within
from xattn.stats.codes import label_slices
from xattn.stats.columns import Column

Array = NDArray[np.float64]
Embedding = Callable[[Array], Array]

_PRODUCT = 2**23
_TERMS = 6
_QUARTERS = 4
_FOURIER = 5


class Measure(Protocol):
    """One way to measure dependence within labels."""

    @property
    def name(self) -> str:
        """What users call it."""

    def permuted(
        self,
        columns: Sequence[Column],
        rows: NDArray[np.intp],
        prediction: Array,
        label: NDArray[np.intp],
        index: NDArray[np.int32],
    ) -> Array:
        """Return the statistic of each feature under each permutation: (P, features).

        Args:
            columns: the features.
            rows: (n,) which of their values.
            prediction: (n, q) scores of these rows.
            label: (n,) numbers, ascending.
            index: (P, n) rows of the prediction that take the places of rows 0 to n - 1.

        In [0, 1], large where dependent; NaN for what never varies within a label.
        """


@dataclass(frozen=True)
class Statistic:
    """A sum of squared cross products.

    Attributes:
        name: what users call it.
        embed: within-label ranks (n,) -> columns (n, K).
        per_label: square within each label and then add (finds effects whose sign differs from
            label to label), or add over labels and then square (stronger where it does not).
    """

    name: str
    embed: Embedding
    per_label: bool

    def permuted(
        self,
        columns: Sequence[Column],
        rows: NDArray[np.intp],
        prediction: Array,
        label: NDArray[np.intp],
        index: NDArray[np.int32],
    ) -> Array:
        """Return the statistic of each feature under each permutation, see `Measure`."""
        features = [feature_embedding(self, c, rows, label) for c in columns]
        target = prediction_embedding(self, prediction, label)
        return permuted_statistics(self, features, target, label, index)


STATISTICS: dict[str, Measure] = {}
"""Every statistic by name."""


def statistic(name: str, per_label: bool) -> Callable[[Embedding], Embedding]:
    """Register an embedding as a statistic."""

    def register(embed: Embedding) -> Embedding:
        STATISTICS[name] = Statistic(name, embed, per_label)
        return embed

    return register


@statistic("rank", per_label=False)
def rank_embedding(u: Array) -> Array:
    """The ranks themselves: monotone effects; for yes/no features van Elteren's test."""
    return u[:, None]


@statistic("dcor", per_label=True)
def distance_embedding(u: Array) -> Array:
    """Distance correlation of the ranks (Székely et al. 2007): any effect, smooth ones best.

    On ranks, the distance |u - v| centred is -4 sum_k cos(pi k u) cos(pi k v) / (pi k)^2: the
    first six terms hold 99.9 % of its squared norm, and replace an n x n matrix by n x 6.
    """
    k = np.pi * np.arange(1, _TERMS + 1)
    columns: Array = np.sqrt(2) * np.cos(u[:, None] * k) / k
    return columns


@statistic("hsic", per_label=True)
def gaussian_embedding(u: Array) -> Array:
    """HSIC with a Gaussian kernel on normal scores (Gretton et al. 2007): turns and heavy ends.

    The kernel's width is the root mean square distance of two normal scores, sqrt(2), which is
    fixed, so that its leading six eigenfunctions can be computed once; they give the kernel to
    1e-3. On normal scores rather than ranks, effects at the ends of a feature are not squeezed
    together (a quadratic one is found in 0.9 instead of 0.7 of the simulations).
    """
    values, place = np.unique(u, return_inverse=True)
    return _on_ranks(values.tobytes())[place.reshape(-1)]


@statistic("chi2", per_label=True)
def quarter_embedding(u: Array) -> Array:
    """Pearson's chi-square of counts: numbers and scores cut into quarters, categories as kept.

    The sum over labels of each label's chi-square; with a yes/no feature, of its 2 x 4 tables.
    """
    quarter = np.minimum((u * _QUARTERS).astype(np.intp), _QUARTERS - 1)
    counts = np.bincount(quarter, minlength=_QUARTERS)
    columns: Array = np.eye(_QUARTERS)[quarter] / np.sqrt(np.maximum(counts, 1))
    return columns


@statistic("random-feature", per_label=True)
def fourier_embedding(u: Array) -> Array:
    """Five random Fourier features of normal scores, as RCIT uses (Strobl et al. 2019).

    The same five for everybody, so that a p-value depends on nothing but data and seed.
    """
    rng = np.random.default_rng(5)
    turns = rng.normal(size=_FOURIER) / 0.954  # the median distance of two normal scores
    columns: Array = np.cos(ndtri(u)[:, None] * turns + rng.uniform(0, 2 * np.pi, _FOURIER))
    return columns


@lru_cache(maxsize=4)
def _on_ranks(ranks: bytes) -> Array:
    """Return the eigenfunctions on these ranks; those of features without ties are the same."""
    grid, functions = _gaussian_eigenfunctions()
    return _gaussian(ndtri(np.frombuffer(ranks)), grid) @ functions


def _gaussian(x: Array, y: Array) -> Array:
    kernel: Array = np.exp(-0.25 * np.square(x[:, None] - y))
    return kernel


@lru_cache(maxsize=1)
def _gaussian_eigenfunctions(points: int = 512) -> tuple[Array, Array]:
    """Return a grid (points,) and F (points, 6): kernel(z, grid) @ F are scaled eigenfunctions."""
    grid = ndtri((np.arange(points) + 0.5) / points)
    values, vectors = np.linalg.eigh(_gaussian(grid, grid))
    return grid, vectors[:, -_TERMS:] / np.sqrt(values[-_TERMS:])


def feature_embedding(
    stat: Statistic, column: Column, rows: NDArray[np.intp], label: NDArray[np.intp]
) -> Array:
    """Return A (n, K) for some rows of a feature, centred within labels.

    Yes/no features are described by their indicator, and nominal ones by one indicator a category
    over the root of its size (Kruskal and Wallis' weights), whatever the statistic. Features of
    several columns are described column by column, side by side, as predictions are.
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


def prediction_embedding(stat: Statistic, prediction: Array, label: NDArray[np.intp]) -> Array:
    """Return B (n, K) for predictions (n, q): each column is embedded by itself, side by side."""
    ranks = ranks_within(prediction, label)
    columns = np.concatenate([stat.embed(u) for u in ranks.T], axis=1)
    return centred_within(columns, label)


def permuted_statistics(
    stat: Statistic,
    features: Sequence[Array],
    prediction: Array,
    label: NDArray[np.intp],
    index: NDArray[np.int32],
) -> Array:
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


def _largest(feature: Array, prediction: Array, strata: list[slice]) -> float:
    """Return the bound that Cauchy and Schwarz put on the statistic."""
    total = 0.0
    for rows in strata:
        own = np.linalg.norm(feature[rows].T @ feature[rows])
        other = np.linalg.norm(prediction[rows].T @ prediction[rows])
        total += float(own * other) / (rows.stop - rows.start)
    return total
