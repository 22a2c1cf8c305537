"""A feature as numbers: to be held fixed, and to be tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from xattn.stats.arrays import Floats
from xattn.stats.columns import Column

_KNOTS = ndtri(np.arange(1, 8) / 8)
_FEW = 5  # values, up to which a number needs no bends
_RARE = 5  # images, below which a name stands with the other rare ones
_TAIL = 0.005


@dataclass(frozen=True)
class Encoded:
    """One feature as columns of mean 0 and variance 1 over the images where it is known.

    What is held fixed is 0 where the feature is not known, and says by an indicator that it is
    not; so a row with a gap is kept (Groenwold et al. 2012, for covariates).

    Attributes:
        column: the feature.
        linear: (n, a) one column a number, a column a name: these may act differently in each
            label when held fixed.
        bends: (n, b) what else is held fixed: clipped values and hinges.
        gap: (n, 1) whether the feature is not known, (n, 0) if it is known everywhere.
        tested: (n, c) functions of the feature whose residuals are tested, NaN where unknown.
        first: how many of `tested` say the feature itself, without turns.
    """

    column: Column
    linear: Floats
    bends: Floats
    gap: Floats
    tested: Floats
    first: int


def encode(column: Column) -> Encoded:
    """Encode one feature.

    Args:
        column: of n images.

    Returns:
        Its columns; all are empty if it is the same in every image where it is known.
    """
    known = column.known
    if column.nominal:
        plain = _names(column.values[known])
        bends, tested = plain[:, :0], plain
    else:
        values = column.values[known]
        values = values[:, None] if values.ndim == 1 else values
        parts = [_number(one) for one in values.T if len(one) and np.ptp(one)]
        plain, bends, turns = (
            np.concatenate([values[:, :0], *(part[i] for part in parts)], axis=1) for i in range(3)
        )
        tested = np.concatenate([plain, turns], axis=1)
    return Encoded(
        column,
        linear=_spread(plain, known, 0.0),
        bends=_spread(bends, known, 0.0),
        gap=standardised((~known)[:, None].astype(np.float64)),
        tested=_spread(tested, known, np.nan),
        first=plain.shape[1],
    )


def normal_scores(values: Floats) -> Floats:
    """Return the normal quantiles of mid-ranks, column by column (n, k); infinities cannot arise.

    Args:
        values: (n, k).
    """
    ranks = rankdata(values, axis=0)
    scores: Floats = ndtri((ranks - 0.5) / max(1, len(values)))
    return scores


def standardised(columns: Floats) -> Floats:
    """Return those columns of (n, k) that vary, with mean 0 and variance 1.

    Args:
        columns: (n, k).
    """
    if not len(columns):
        return columns
    spread = columns.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(columns).max(axis=0))
    return np.asarray((columns[:, varies] - columns[:, varies].mean(axis=0)) / spread[varies])


def _number(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return what is linear, what bends it when held fixed, and its turns when tested."""
    different = np.unique(values)
    if len(different) == 2:
        plain = standardised(values[:, None])
        return plain, plain[:, :0], plain[:, :0]
    score = normal_scores(values[:, None])
    clipped = np.clip(values, *np.quantile(values, [_TAIL, 1 - _TAIL]))[:, None]
    hinges = np.maximum(score - _KNOTS, 0.0) if len(different) > _FEW else score[:, :0]
    u = 2 * rankdata(values)[:, None] / len(values) - 1  # in (-1, 1]
    turns = np.concatenate([(3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2], axis=1)  # Legendre
    turns = turns if len(different) > _FEW else turns[:, :1]
    bends = standardised(np.concatenate([clipped, hinges], axis=1))
    return standardised(score), bends, standardised(turns)


def _names(values: Floats) -> Floats:
    """Return a column a name, but one; rare names share a column."""
    names, number, times = np.unique(values, return_inverse=True, return_counts=True)
    rare = times < _RARE
    shared = np.where(rare, len(names), np.arange(len(names)))
    each = shared[number.reshape(-1)]
    columns = each[:, None] == np.unique(each)[1:]
    return standardised(columns.astype(np.float64))


def _spread(values: Floats, rows: NDArray[np.bool_], elsewhere: float) -> Floats:
    """Put values (k, c) of some rows into (n, c)."""
    whole = np.full((len(rows), values.shape[1]), elsewhere)
    whole[rows] = values
    return whole
