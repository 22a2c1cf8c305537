"""DeLong's test of two areas under the ROC curve, of different images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.groups.rates import Outcomes
from xattn.stats.arrays import Floats
from xattn.stats.paired import auc_influence, delong


def delong_p(
    outcomes: Outcomes,
    present: NDArray[np.bool_],
    group: NDArray[np.intp],
    means_over: Sequence[int] | None = None,
) -> float:
    """Return the two-sided p-value of equal AUC over the images present and over all others.

    The two areas are of different images, so their variances add up (DeLong et al. 1988, in the
    form of Sun and Xu 2014). Where images of one group are on both sides, their covariance is
    taken off: each group is one observation (Obuchowski 1997). A normal approximation, unlike the
    permutation test, and another null: the areas may be equal where the scores are not.

    Args:
        outcomes: of n images; with more than two classes the mean of each against the rest.
        present: (n,).
        group: (n,) numbers from 0.
        means_over: classes whose areas are averaged, of more than two; default all that are scored.

    Returns:
        NaN where a side lacks a class, or one of its classes is of a single group.
    """
    sides = [np.flatnonzero(present), np.flatnonzero(~present)]
    names, group = np.unique(group, return_inverse=True)
    ranked = outcomes.rated if outcomes.binary or means_over is None else means_over
    if not ranked:
        return float("nan")
    parts = [_area(outcomes.subset(rows), group[rows], len(names), ranked) for rows in sides]
    if any(part is None for part in parts):
        return float("nan")
    (area_a, influence_a), (area_b, influence_b) = (part for part in parts if part is not None)
    found = delong(area_a, area_b, influence_a, influence_b, len(group))
    return found.p_value


def _area(
    outcomes: Outcomes, group: NDArray[np.intp], groups: int, ranked: Sequence[int]
) -> tuple[Floats, Floats] | None:
    """Return the AUC (1,) and what every group adds to its error (1, groups)."""
    areas, influences = [], []
    for i in ranked:
        positive = outcomes.truth == i
        if positive.all() or not positive.any():
            return None
        area, influence = auc_influence(outcomes.scores[:, i][None], positive, group)
        areas.append(area)
        influences.append(influence)
    everyone = np.zeros((1, groups))
    everyone[:, np.unique(group)] = np.mean(influences, axis=0)
    return np.mean(areas, axis=0), everyone
