"""What is left of scores and features when the label and other features are held fixed.

Ridge regression on bent columns, then boosted trees on what that leaves, both fitted without the
images whose residuals they give (and without their groups). Where the trees do not help on those,
or there are fewer than 300 images, they are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.given.encoding import Encoded, standardised
from xattn.analysis.settings import LEARNERS
from xattn.stats.arrays import Codes, Floats

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

FOLDS = 5
_PENALTIES = np.array([1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3])
"""Of ridge regression, per image, the columns having variance 1."""
_AS_GOOD = 1.01
"""Of the penalties whose error on unseen images is within this factor of the least, the smallest is
taken: a covariance of residuals suffers from the bias that both share, not from their variance."""
_BY_LABEL = 0.7  # columns by label have to be worth more than those for all labels
_MOST_COLUMNS = 600  # beyond these, or a third of the images, features are held fixed unbent
_PATTERNS = 8  # of gaps, whose products are kept
_FEWEST_FOR_TREES = 300  # images, below which trees of such leaves learn nothing
_WORTH_THREADS = 20_000
"""Images from which trees are grown by several threads. A tree of a thousand is done before a
second thread has begun: beside other work two took ninety times as long as one, for they wait."""
_ROUNDS, _LEAVES, _SMALLEST_LEAF, _BINS, _RATE = 60, 8, 10, 32, 0.1


@dataclass(frozen=True)
class Left:
    """What is left of targets.

    Attributes:
        values: (n, t), NaN where one of a row's targets is not known.
        spent: (t,) degrees of freedom of each regression.
    """

    values: Floats
    spent: Floats


@dataclass
class Residuals:
    """Regressions of anything on the label and any of the features, cross-fitted.

    Attributes:
        features: that can be held fixed.
        label: (n,) numbers from 0, always held fixed.
        fold: (n,) numbers from 0; a fold's residuals come from the others.
        learner: of `LEARNERS`.
    """

    features: Sequence[Encoded]
    label: Codes
    fold: Codes
    learner: str = LEARNERS[0]
    _design: Floats = field(init=False, repr=False)
    _blocks: list[NDArray[np.intp]] = field(init=False, repr=False)
    _products: dict[bytes, list[Floats]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        labels = self.by_label
        bent = sum(
            f.linear.shape[1] * (1 + labels.shape[1]) + f.bends.shape[1] + f.gap.shape[1]
            for f in self.features
        )
        whole = bent <= min(_MOST_COLUMNS, len(self.label) / 3)
        parts = [np.ones((len(self.label), 1)), labels]
        at, self._blocks = 1 + labels.shape[1], []
        for feature in self.features:
            mine = [feature.linear, feature.gap]
            if whole:
                mine += [feature.bends, _BY_LABEL * each_by_each(feature.linear, labels)]
            parts += mine
            width = sum(part.shape[1] for part in mine)
            self._blocks.append(np.arange(at, at + width))
            at += width
        self._design = np.concatenate(parts, axis=1)

    @cached_property
    def by_label(self) -> Floats:
        """The labels as columns of mean 0, one fewer than there are labels: (n, labels - 1)."""
        names = np.unique(self.label)[1:]
        return standardised((self.label[:, None] == names).astype(np.float64))

    def of(
        self,
        targets: Floats,
        held: Sequence[int],
        *,
        boosted: int | None = None,
    ) -> Left:
        """Return the residuals of targets.

        Args:
            targets: (n, t), the score and the feature, say; NaN where not known.
            held: numbers of the features that are held fixed beside the label.
            boosted: so many of the first targets get trees after ridge regression; none if the
                learner is ridge, all by default.
        """
        rows = np.flatnonzero(~np.isnan(targets).any(axis=1))
        found = np.full(targets.shape, np.nan)
        if not len(rows):
            return Left(found, np.zeros(targets.shape[1]))
        y = targets[rows]
        columns = np.concatenate(
            [np.arange(1 + self.by_label.shape[1]), *(self._blocks[k] for k in held)]
        ).astype(np.intp)
        left, spent = self._ridge(y, rows, columns)
        trees = y.shape[1] if boosted is None else boosted
        if self.learner == "ridge" or len(rows) < _FEWEST_FOR_TREES or not len(held):
            trees = 0
        for t in range(trees):
            left[:, t] = self._boosted(left[:, t], rows, held)
        found[rows] = left
        return Left(found, spent)

    def _ridge(
        self, y: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        """Take off ridge regression, each target with the penalty that fits unseen images best."""
        design, fold = self._design[np.ix_(rows, columns)], self.fold[rows]
        left = np.empty((len(_PENALTIES), *y.shape))
        spent = np.zeros((len(_PENALTIES), int(fold.max()) + 1))
        for k, product in enumerate(self._gram(rows)):
            out = fold == k
            if not out.any():
                continue
            inside = ~out
            # The products of all columns are formed once; each choice of columns is a part of them.
            values, vectors = np.linalg.eigh(product[np.ix_(columns, columns)])
            values = np.maximum(values, 0.0) + 1e-9
            fitted = vectors.T @ (design[inside].T @ y[inside])
            unseen = design[out] @ vectors
            for i, penalty in enumerate(_PENALTIES):
                scale = 1 / (values + penalty * inside.sum())
                spent[i, k] = (values * scale).sum()
                left[i, out] = y[out] - unseen @ (fitted * scale[:, None])
        error = np.square(left).mean(axis=1)
        best = (error <= _AS_GOOD * error.min(axis=0)).argmax(axis=0)
        return left[best, :, np.arange(y.shape[1])].T, spent.mean(axis=1)[best]

    def _gram(self, rows: NDArray[np.intp]) -> list[Floats]:
        """Return the products of all columns with each other without each fold."""
        key = rows.tobytes()
        if key not in self._products:
            if len(self._products) >= _PATTERNS:  # each is folds times columns squared
                del self._products[next(iter(self._products))]
            design, fold = self._design[rows], self.fold[rows]
            parts = [design[fold == k].T @ design[fold == k] for k in range(int(fold.max()) + 1)]
            whole = np.sum(parts, axis=0)
            self._products[key] = [whole - part for part in parts]
        return self._products[key]

    def _boosted(self, left: Floats, rows: NDArray[np.intp], held: Sequence[int]) -> Floats:
        """Take trees off a residual where they help on unseen images."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        known = [self.by_label, *(self.features[k].linear for k in held)]
        known += [self.features[k].gap for k in held]
        inputs = np.concatenate(known, axis=1)[rows].astype(np.float32)
        fold, after = self.fold[rows], left.copy()
        few = 1 if len(rows) < _WORTH_THREADS else None
        with _threads().limit(limits=few, user_api="openmp"):
            for k in np.unique(fold):
                inside = fold != k
                trees = HistGradientBoostingRegressor(
                    max_iter=_ROUNDS, learning_rate=_RATE, max_leaf_nodes=_LEAVES,
                    min_samples_leaf=_SMALLEST_LEAF, max_bins=_BINS, early_stopping=False,
                    random_state=0,
                )  # fmt: skip
                trees.fit(inputs[inside], left[inside])
                after[~inside] -= trees.predict(inputs[~inside])
        return after if np.square(after).mean() < np.square(left).mean() else left


@cache
def _threads() -> ThreadpoolController:
    """Return what sets numbers of threads; looking for it takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def each_by_each(a: Floats, b: Floats) -> Floats:
    """Return the products of every column of (n, k) with every one of (n, l): (n, k * l).

    Args:
        a: (n, k).
        b: (n, l).
    """
    return np.asarray((a[:, :, None] * b[:, None, :]).reshape(len(a), -1))
