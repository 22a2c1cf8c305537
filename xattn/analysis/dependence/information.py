"""How much is used: conditional mutual information in bits.

I(prediction; feature | label) is estimated by counting (plug-in) on within-label bins and always
comes out too high, by about (bins - 1)² / (2 n ln 2). What the same count gives under
permutations within label is that excess, and is subtracted; so without dependence the estimate
is 0 on average, and a single one may be a little below 0. Binning loses information, so the
estimate is a lower bound: compare it between features, or with the label's own entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from xattn.analysis.dependence.effects import main_direction
from xattn.analysis.dependence.ranks import ranks_within
from xattn.stats.arrays import Codes, Floats
from xattn.stats.codes import label_slices
from xattn.stats.columns import Column
from xattn.stats.drawn import Drawn
from xattn.stats.resampling import percentile_interval

MOST_BINS = 5
_PER_CELL = 20


@dataclass(frozen=True)
class Information:
    """Bits per image for each feature: estimate and 95 % interval, each (features,)."""

    bits: Floats
    low: Floats
    high: Floats


def feature_bins(column: Column, rows: Codes, label: Codes) -> Codes:
    """Return the bin of some rows: the categories there are, else within-label quantiles.

    Of a feature of several numbers, quantiles along the direction in which it varies most.

    Args:
        column: the feature.
        rows: (k,) which of its values.
        label: (k,) numbers of their labels.
    """
    values = column.values[rows]
    if values.ndim == 2:
        return quantile_bins(main_direction(values, label), label)
    kinds, number = np.unique(values, return_inverse=True)
    if column.nominal or len(kinds) <= 2:
        return number.reshape(-1)
    return quantile_bins(values, label)


def quantile_bins(values: Floats, label: Codes) -> Codes:
    """Cut values (n,) into bins of equal size within each label; ties stay together.

    A label of n images gets as many bins as leave 20 images a cell of the bins x bins table,
    at least 2 and at most 5.

    Args:
        values: (n,).
        label: (n,) numbers.

    Returns:
        (n,) numbers of bins, from 0 within each label.
    """
    sizes = np.bincount(label)
    bins = np.clip(np.sqrt(sizes / _PER_CELL).astype(np.intp), 2, MOST_BINS)[label]
    return np.minimum((ranks_within(values, label) * bins).astype(np.intp), bins - 1)


def conditional_information(
    features: Sequence[Codes],
    prediction: Codes,
    label: Codes,
    index: NDArray[np.int32],
    weights: Drawn[np.float32] | None,
) -> Information:
    """Estimate I(prediction; feature | label) for several features.

    The interval is the basic bootstrap one, (estimate - upper deviation, estimate - lower
    deviation), of replicates about their own mean: their excess is not that of the sample.

    Args:
        features: bins (n,) of each feature.
        prediction: bins (n,).
        label: (n,) numbers, ascending.
        index: (P, n) permutations within label, to estimate the excess.
        weights: (B, n) bootstrap weights, or None for no interval (NaN).

    Returns:
        Bits per image, each (features,); 0 on average without dependence.

    Source: the plug-in estimate, its bias after Miller 1955, here by permutation.
    """
    n = len(label)
    identity = np.arange(n, dtype=np.int32)[None]
    seen = _permuted_bits(features, prediction, label, identity)[0]
    bits = seen - _permuted_bits(features, prediction, label, index).mean(axis=0)
    if weights is None:
        nothing = np.full(len(features), np.nan)
        return Information(bits, nothing, nothing)
    replicates = weights.map(lambda some: _weighted_bits(features, prediction, label, some))
    low, high = percentile_interval(replicates - replicates.mean(axis=0))
    return Information(bits, bits - high, bits - low)


def _permuted_bits(
    features: Sequence[Codes], prediction: Codes, label: Codes, index: NDArray[np.int32]
) -> Floats:
    """Return the plug-in information under each permutation: (P, features)."""
    total = np.zeros((len(index), len(features)))
    begins = np.cumsum([0, *(int(f.max()) + 1 for f in features)])
    for rows in label_slices(label):
        described = np.concatenate(
            [_indicators(f[rows], int(f.max()) + 1) for f in features], axis=1
        )
        moved = prediction[index[:, rows]]
        counts = np.stack(
            [(moved == k).astype(np.float32) @ described for k in range(prediction.max() + 1)],
            axis=1,
        )
        for i, (a, b) in enumerate(pairwise(begins)):
            total[:, i] += _nats(counts[:, :, a:b])
    bits: Floats = total / (len(label) * np.log(2))
    return bits


def _weighted_bits(
    features: Sequence[Codes], prediction: Codes, label: Codes, weights: NDArray[np.float32]
) -> Floats:
    """Return the plug-in information of each bootstrap replicate: (B, features)."""
    total = np.zeros((len(weights), len(features)))
    n_bins = int(prediction.max()) + 1
    for rows in label_slices(label):
        for i, feature in enumerate(features):
            kinds = int(feature.max()) + 1
            cells = _indicators(prediction[rows] * kinds + feature[rows], n_bins * kinds)
            total[:, i] += _nats((weights[:, rows] @ cells).reshape(-1, n_bins, kinds))
    bits: Floats = total / (weights.sum(axis=1, keepdims=True) * np.log(2))
    return bits


def _nats(counts: NDArray[np.floating]) -> Floats:
    """Return n * I(row; column) in nats of tables of counts (..., rows, columns)."""
    cells = counts.astype(np.float64)
    rows, columns, total = cells.sum(axis=-1), cells.sum(axis=-2), cells.sum(axis=(-2, -1))
    nats: Floats = (
        xlogy(cells, cells).sum(axis=(-2, -1))
        - xlogy(rows, rows).sum(axis=-1)
        - xlogy(columns, columns).sum(axis=-1)
        + xlogy(total, total)
    )
    return nats


def _indicators(values: Codes, kinds: int) -> NDArray[np.float32]:
    return np.eye(kinds, dtype=np.float32)[values]
