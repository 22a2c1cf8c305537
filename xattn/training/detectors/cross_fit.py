"""Scores of images by detectors that did not see them, nor others of their group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Codes, Floats
from xattn.stats.folds import assign_folds
from xattn.stats.resampling import group_weights, percentile_interval
from xattn.stats.weighted_metrics import auc_of

FOLDS = 5
PENALTIES = (1e-4, 1e-3, 1e-2)
"""Inverse penalties that are tried, scikit-learn's C, the columns having variance 1."""


@dataclass(frozen=True)
class Scores:
    """What cross-fitted detectors say of one artifact.

    Attributes:
        score: (n,) probability that a human would flag it; of flagged images by a detector that saw
            none of their group, of others the mean over the detectors.
        auc, low, high: against the flags, with its 95 % bootstrap interval over groups.
        reliability: squared correlation of score and flag within labels, in [0, 1]: an effect of
            the flag appears in the score with about this fraction of its variance.
        flagged, without: how many images with and without it there were to learn from.
        penalty: the one that was chosen, of `PENALTIES`.
    """

    score: Floats
    auc: float
    low: float
    high: float
    reliability: float
    flagged: int
    without: int
    penalty: float


def cross_fitted(
    activations: NDArray[np.floating],
    flag: Floats,
    label: Codes,
    group: Codes,
    *,
    folds: int = FOLDS,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Train logistic regressions on flags, each without one fold of groups.

    Args:
        activations: (n, columns), none missing.
        flag: (n,) 1, 0 or NaN where nobody looked.
        label: (n,) numbers, -1 where not known; for the reliability within labels.
        group: (n,) numbers from 0; a group is in one fold.
        folds: how many.
        bootstrap: replicates behind the interval.
        seed: same seed, same scores.
    """
    known = np.flatnonzero(~np.isnan(flag))
    y = flag[known].astype(np.intp)
    own = np.unique(group[known], return_inverse=True)[1].reshape(-1)
    fold = assign_folds(own, y, folds, seed)
    decision = {c: np.full(len(flag), np.nan) for c in PENALTIES}
    rest = np.flatnonzero(np.isnan(flag))
    for c in PENALTIES:
        unflagged = np.zeros(len(rest))
        for k in range(folds):
            inside = known[fold != k]
            model = _detector(c).fit(activations[inside], flag[inside].astype(int))
            decision[c][known[fold == k]] = model.decision_function(activations[known[fold == k]])
            if len(rest):
                unflagged += model.decision_function(activations[rest]) / folds
        decision[c][rest] = unflagged
    alone = np.ones((1, len(known)))
    areas = {c: float(auc_of(decision[c][known], y == 1, alone)[0]) for c in PENALTIES}
    best = max(areas, key=lambda c: areas[c])
    weights = group_weights(own, len(known), bootstrap, seed).astype(np.float64)
    low, high = percentile_interval(auc_of(decision[best][known], y == 1, weights))
    score = 1 / (1 + np.exp(-np.clip(decision[best], -700, 700)))
    return Scores(
        score, areas[best], float(low), float(high), _reliability(score[known], y, label[known]),
        int(y.sum()), int((1 - y).sum()), best,
    )  # fmt: skip


def _detector(penalty: float):  # type: ignore[no-untyped-def] # scikit-learn has no types
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=500))


def _reliability(score: Floats, y: Codes, label: Codes) -> float:
    """Return the squared correlation of score and flag, both centred within labels."""
    centred = []
    for values in (score, y.astype(np.float64)):
        sums = np.bincount(label + 1, values)
        counts = np.maximum(1, np.bincount(label + 1))
        centred.append(values - (sums / counts)[label + 1])
    scale = np.square(centred[0]).sum() * np.square(centred[1]).sum()
    return float((centred[0] * centred[1]).sum() ** 2 / scale) if scale else 0.0
