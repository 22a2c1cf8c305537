"""How much is used: fraction of the prediction's variance within labels that a feature explains.

The analysis of variance's eta squared, with labels as strata and the feature's bins as treatments,
less what bins explain by chance (epsilon squared, Kelley 1935): 0 on average without dependence,
1 if the feature settles the prediction within every label. It is taken of the prediction's ranks
within labels, so that logits and probabilities give the same. Numbers are cut into the bins that
`information` counts in, so the fraction is a lower bound for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xattn.stats.arrays import Codes, Floats
from xattn.stats.drawn import Drawn
from xattn.stats.resampling import percentile_interval


@dataclass(frozen=True)
class ExplainedVariance:
    """Fraction explained by each feature: estimate and 95 % interval, each (features,)."""

    fraction: Floats
    low: Floats
    high: Floats


def explained_variance(
    features: Sequence[Codes],
    prediction: Floats,
    label: Codes,
    weights: Drawn[np.float32] | None,
) -> ExplainedVariance:
    """Estimate the fraction of within-label variance of the prediction that features explain.

    The interval is the basic bootstrap one about the replicates' own mean, as for the bits.

    Args:
        features: bins (n,) of each feature.
        prediction: (n,), ranks within labels for a fraction that no monotone change moves.
        label: (n,) numbers.
        weights: (B, n) bootstrap weights, or None for no interval (NaN).

    Returns:
        Epsilon squared of each feature with its interval, (features,): at most 1, 0 on average
        without dependence.

    Source: Kelley, Proceedings of the National Academy of Sciences 1935.
    """
    once = np.ones((1, len(label)))
    fraction = _fractions(features, prediction, label, once)[0]
    if weights is None:
        nothing = np.full(len(features), np.nan)
        return ExplainedVariance(fraction, nothing, nothing)
    replicates = weights.map(
        lambda some: _fractions(features, prediction, label, some.astype(np.float64))
    )
    low, high = percentile_interval(replicates - replicates.mean(axis=0))
    return ExplainedVariance(fraction, fraction - high, fraction - low)


def _fractions(
    features: Sequence[Codes], prediction: Floats, label: Codes, weights: Floats
) -> Floats:
    """Return epsilon squared of each feature under each row of weights, (B, features)."""
    # About the label's mean, sums of squares lose no digits.
    mean = np.bincount(label, prediction) / np.maximum(np.bincount(label), 1)
    centred = (prediction - mean[label]).astype(np.float64)
    of_cell, parts = [], [np.square(centred)[:, None]]
    for feature in features:
        kinds = int(feature.max()) + 1
        cells, cell = np.unique(label * kinds + feature, return_inverse=True)
        member = np.eye(len(cells))[cell.reshape(-1)]
        parts += [member, member * centred[:, None]]
        of_cell.append(np.eye(int(label.max()) + 1)[cells // kinds])
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    squares, *sums = np.split(weights @ np.concatenate(parts, axis=1), ends, axis=1)
    n = weights.sum(axis=1)
    fractions = [
        _fraction(squares[:, 0], count, total, in_label, n)
        for count, total, in_label in zip(sums[::2], sums[1::2], of_cell, strict=True)
    ]
    return np.stack(fractions, axis=1)


def _fraction(squares: Floats, count: Floats, total: Floats, in_label: Floats, n: Floats) -> Floats:
    """Return epsilon squared, (B,); NaN where nothing varies.

    Args:
        squares, n: (B,) sums over all images of the squared prediction, and of 1.
        count, total: (B, cells) sums over each cell of 1, and of the prediction.
        in_label: (cells, labels) 1 where the cell is of the label.
    """
    label_count, label_total = count @ in_label, total @ in_label
    about_zero = _squared_over(label_total, label_count).sum(axis=1)
    within = squares - about_zero
    between = _squared_over(total, count).sum(axis=1) - about_zero
    labels, groups = (label_count > 0).sum(axis=1), (count > 0).sum(axis=1)
    left = np.maximum(n - groups, 1)
    tiny = 1e-12 * np.maximum(squares, np.finfo(np.float64).tiny)
    unexplained = (within - between) / np.where(within > tiny, within, np.nan)
    fraction: Floats = 1 - unexplained * (n - labels) / left
    return fraction


def _squared_over(total: Floats, count: Floats) -> Floats:
    result: Floats = np.square(total) / np.where(count > 0, count, 1)
    return result
