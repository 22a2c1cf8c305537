"""Effect sizes on ranks within labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.cross_products import (
    CrossProducts,
    feature_embedding,
    prediction_embedding,
)
from xattn.analysis.dependence.ranks import centred_within, ranks_within
from xattn.analysis.dependence.statistics.rank import rank_embedding
from xattn.stats.arrays import Floats
from xattn.stats.columns import Column

_RANK = CrossProducts("rank", "", rank_embedding, per_label=False)


def ranked(prediction: Floats, label: NDArray[np.intp]) -> Floats:
    """Return the centred ranks (n, q) of predictions (n, q) within labels.

    Args:
        prediction: (n, q) scores.
        label: (n,) numbers.
    """
    return prediction_embedding(_RANK, prediction, label)


def rank_effect(
    column: Column, rows: NDArray[np.intp], target: Floats, label: NDArray[np.intp]
) -> float:
    """Return how much the prediction's rank within its label goes with the feature, in [-1, 1].

    - yes/no feature: stratified rank-biserial correlation, 2 AUC - 1: the chance that an image
      with the feature scores higher than one of the same label without it, minus the reverse
      (van Elteren's weights over labels);
    - number: Spearman's correlation within labels;
    - nominal feature, or several columns of feature or prediction: the largest absolute correlation
      between a column (or category) of one and a column of the other; without sign.

    Args:
        column: the feature.
        rows: (n,) which of its values.
        target: (n, q), the predictions' ranks as `ranked` returns them, for all features once.
        label: (n,) numbers.

    Source: van Elteren 1960 for the weights; Glass 1966 for the rank-biserial correlation.
    """
    feature = feature_embedding(_RANK, column, rows, label)
    cross = feature.T @ target
    yes_no = column.values.ndim == 1 and len(np.unique(column.values[rows])) == 2
    if cross.size == 1 and yes_no:
        return _rank_biserial(column.values[rows], target[:, 0], label)
    norms = np.linalg.norm(feature, axis=0)[:, None] * np.linalg.norm(target, axis=0)
    r = cross / np.where(norms > 0, norms, np.nan)
    return float(r[0, 0]) if r.size == 1 else float(np.nanmax(np.abs(r)))


def _rank_biserial(values: Floats, ranks: Floats, label: NDArray[np.intp]) -> float:
    present = values == values.max()
    n = np.bincount(label)
    with_it = np.bincount(label, present, minlength=len(n))
    pairs = with_it * (n - with_it) / (n + 1)
    # Within a label, the sum of centred ranks / (n + 1) over n1 images is D n1 n0 / (2 (n + 1)).
    return float(2 * ranks[present].sum() / pairs.sum())


def rank_effect_error(
    column: Column, rows: NDArray[np.intp], label: NDArray[np.intp], groups: int
) -> float:
    """Return the standard error that `rank_effect` has where nothing depends, roughly.

    Of a yes/no feature that of the stratified Mann-Whitney statistic, (n + 1) / (3 n1 n0) summed
    as inverse variances over labels; else 1 / sqrt(n - labels). Fewer groups than images widen it
    by sqrt(n / groups), as if the images of a group were alike.

    Args:
        column: the feature.
        rows: (n,) which of its values.
        label: (n,) numbers.
        groups: number of groups.
    """
    values, n = column.values[rows], np.bincount(label)
    if values.ndim == 1 and len(np.unique(values)) == 2:
        with_it = np.bincount(label, values == values.max(), minlength=len(n))
        precision = float((3 * with_it * (n - with_it) / (n + 1)).sum())
    else:
        precision = float(len(rows) - (n > 0).sum())
    wider = np.sqrt(len(rows) / max(1, groups))
    return float(wider / np.sqrt(precision)) if precision > 0 else float("nan")


def main_direction(prediction: Floats, label: NDArray[np.intp]) -> Floats:
    """Return the direction (n,) in which predictions (n, q) of one label differ most.

    The first principal component of the within-label ranks; a single column is returned as it is.

    Args:
        prediction: (n, q) scores.
        label: (n,) numbers.
    """
    if prediction.shape[1] == 1:
        return prediction[:, 0]
    ranks = centred_within(ranks_within(prediction, label), label)
    _, _, directions = np.linalg.svd(ranks, full_matrices=False)
    main: Floats = ranks @ directions[0]
    return main
