"""How much is used: the share of the prediction's variance within labels that a feature explains.

The analysis of variance's eta squared, with labels as strata and the feature's bins as treatments,
less what bins explain by chance (epsilon squared, Kelley 1935): 0 on average without dependence,
1 if the feature settles the prediction within every label. It is taken of the prediction's ranks
within labels, so that logits and probabilities give the same. Numbers are cut into the bins that
`information` counts in, so the share is a lower bound for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.resampling import percentile_interval

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class VarianceShare:
    """Share explained by each feature: estimate and 95 % interval, each (features,)."""

    share: Array
    low: Array
    high: Array


def variance_share(
    features: Sequence[Codes],
    prediction: Array,
    label: Codes,
    weights: NDArray[np.float32] | None,
) -> VarianceShare:
    """Estimate the share of within-label variance of the prediction that features explain.

    The interval is the basic bootstrap one about the replicates' own mean, as for the bits.

    Args:
        features: bins (n,) of each feature.
        prediction: (n,), ranks within labels for a share that no monotone change moves.
        label: (n,) numbers.
        weights: (B, n) bootstrap weights, or None for no interval (NaN).
    """
    once = np.ones((1, len(label)), dtype=np.float32)
    share = np.array([_share(f, prediction, label, once)[0] for f in features])
    if weights is None:
        nothing = np.full(len(features), np.nan)
        return VarianceShare(share, nothing, nothing)
    replicates = np.stack([_share(f, prediction, label, weights) for f in features], axis=1)
    low, high = percentile_interval(replicates - replicates.mean(axis=0))
    return VarianceShare(share, share - high, share - low)


def _share(feature: Codes, prediction: Array, label: Codes, weights: NDArray[np.float32]) -> Array:
    """Return epsilon squared of each row of weights, (B,); NaN where nothing varies."""
    # About the label's mean, sums of squares lose no digits.
    mean = np.bincount(label, prediction) / np.maximum(np.bincount(label), 1)
    centred = (prediction - mean[label]).astype(np.float64)
    kinds = int(feature.max()) + 1
    cells, cell = np.unique(label * kinds + feature, return_inverse=True)
    of_label = cells // kinds
    member = np.eye(len(cells))[cell.reshape(-1)]
    count = weights @ member
    total = weights @ (member * centred[:, None])
    squares = weights @ (np.square(centred)[:, None])
    in_label = np.eye(int(label.max()) + 1)[of_label]
    label_count, label_total = count @ in_label, total @ in_label
    about_zero = _squared_over(label_total, label_count).sum(axis=1)
    within = squares[:, 0] - about_zero
    between = _squared_over(total, count).sum(axis=1) - about_zero
    labels, groups = (label_count > 0).sum(axis=1), (count > 0).sum(axis=1)
    n = weights.sum(axis=1)
    left = np.maximum(n - groups, 1)
    tiny = 1e-12 * np.maximum(squares[:, 0], np.finfo(np.float64).tiny)
    unexplained = (within - between) / np.where(within > tiny, within, np.nan)
    share: Array = 1 - unexplained * (n - labels) / left
    return share


def _squared_over(total: Array, count: Array) -> Array:
    result: Array = np.square(total) / np.where(count > 0, count, 1)
    return result
