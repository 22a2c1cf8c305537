"""Tests on the same test images: are these trained networks right on different ones of them?

They are about the networks that were trained, not of their architectures: two seeds of one
architecture may differ significantly. Quantities are means over a model's seeds, so that with one
seed each the tests are the textbook's. Images of one group count as one observation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xattn.stats.arrays import Codes, Floats
from xattn.stats.intervals import Z_95
from xattn.stats.sign_flip import exact_sign_flip_p
from xattn.stats.two_samples import NAN, DifferenceTest


def clustered_mcnemar(
    hit_a: NDArray[np.bool_], hit_b: NDArray[np.bool_], group: Codes
) -> DifferenceTest:
    """Return McNemar's exact test (1947) of equal accuracy, for seeds and groups.

    With one network on each side and no groups: of the images that one gets right and the other
    wrong, half should fall to each side. In general every group has a score, the sum over its
    images of the difference of the fractions of seeds that are right; exchanging the two models
    within a group turns its sign, and the p-value is the exact fraction of all sign patterns with
    as large a sum. The interval is normal, with the groups' variance. The effect is the odds ratio:
    (a right, b wrong) / (b right, a wrong), in pairs of seeds.

    Args:
        hit_a, hit_b: (seeds of a, n), (seeds of b, n) whether the prediction is right.
        group: (n,) numbers from 0.

    Returns:
        The test, difference in accuracy, -1 to 1.

    Source: McNemar, Psychometrika 1947.
    """
    n, scale = hit_a.shape[1], len(hit_a) * len(hit_b)
    score = len(hit_b) * hit_a.sum(axis=0, dtype=np.int64)
    score = score - len(hit_a) * hit_b.sum(axis=0, dtype=np.int64)
    of_group = np.bincount(group, score).round().astype(np.int64)
    difference = float(score.sum() / (n * scale))
    error = _clustered_error(score / scale, group)
    won = float((hit_a.mean(axis=0) * (1 - hit_b.mean(axis=0))).sum())
    lost = float((hit_b.mean(axis=0) * (1 - hit_a.mean(axis=0))).sum())
    return DifferenceTest(
        difference,
        difference - Z_95 * error,
        difference + Z_95 * error,
        float(of_group.sum() / scale),
        exact_sign_flip_p(of_group),
        n,
        won / lost if lost else NAN,
    )


def exact_mcnemar_p(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the exact p-value of McNemar's test (1947) of two yes/no outcomes of the same images.

    Takes images as independent; `clustered_mcnemar` is for groups and seeds.

    Args:
        first, second: (n,) the outcomes.

    Returns:
        The two-sided p-value; NaN of no images.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    if not len(first):
        return NAN
    table = np.zeros((2, 2), dtype=int)
    np.add.at(table, (first.astype(int), second.astype(int)), 1)
    return float(mcnemar(table, exact=True).pvalue)


def _clustered_error(values: Floats, group: Codes) -> float:
    """Return the standard error of the mean of values (n,), groups being independent."""
    centred = np.bincount(group, values - values.mean())
    k = len(centred)
    return NAN if k < 2 else float((k / (k - 1) * (centred**2).sum()) ** 0.5 / len(values))


def auc_influence(
    scores: Floats, positive: NDArray[np.bool_], group: Codes
) -> tuple[Floats, Floats]:
    """Return the AUC of each model, and what each group adds to its error: (R,), (R, groups).

    The sum over groups of the squares is DeLong's variance (1988) where each image is a group of
    its own, and Obuchowski's for clustered data (1997) otherwise; products of two models' rows
    give covariances. Midranks over all models at once, as in Sun and Xu (2014).

    Args:
        scores: (R, n), large means positive.
        positive: (n,), with at least one True and one False.
        group: (n,) numbers from 0.
    """
    inside, outside = np.flatnonzero(positive), np.flatnonzero(~positive)
    m, n = len(inside), len(outside)
    among_all = stats.rankdata(scores, axis=1)
    among_own = [stats.rankdata(scores[:, rows], axis=1) for rows in (inside, outside)]
    above = (among_all[:, inside] - among_own[0]) / n  # fraction of negatives below each positive
    below = 1 - (among_all[:, outside] - among_own[1]) / m
    auc = above.mean(axis=1)
    influence = np.empty_like(among_all)
    for part, rows in ((above, inside), (below, outside)):
        clusters = len(np.unique(group[rows]))
        inflation = (clusters / (clusters - 1)) ** 0.5 if clusters > 1 else NAN
        influence[:, rows] = (part - auc[:, None]) * (inflation / len(rows))
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return auc, np.add.reduceat(influence[:, order], starts, axis=1)


def delong(
    auc_a: Floats, auc_b: Floats, influence_a: Floats, influence_b: Floats, n: int
) -> DifferenceTest:
    """Return DeLong's test of equal AUC, of the means over each model's seeds.

    Args:
        auc_a, auc_b: (seeds,).
        influence_a, influence_b: (seeds, groups), from `auc_influence`.
        n: images.

    Returns:
        The test, difference in AUC, -1 to 1; NaN where there is no variance.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988; Obuchowski, Biometrics 1997.
    """
    difference = float(auc_a.mean() - auc_b.mean())
    error = float(np.linalg.norm(influence_a.mean(axis=0) - influence_b.mean(axis=0)))
    if not error > 1e-12:
        same = abs(difference) < 1e-12 and not np.isnan(error)
        return DifferenceTest(
            difference, statistic=0.0 if same else NAN, p_value=1.0 if same else NAN, n=n
        )
    z = difference / error
    return DifferenceTest(
        difference,
        difference - Z_95 * error,
        difference + Z_95 * error,
        z,
        2 * float(stats.norm.sf(abs(z))),
        n,
    )
