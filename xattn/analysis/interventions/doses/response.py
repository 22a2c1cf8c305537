"""Does the score follow the dose? Slopes, their interval, and two tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from xattn.stats.arrays import Floats
from xattn.stats.resampling import mean_interval
from xattn.stats.sign_flip import sampled_sign_flip_p

Groups = NDArray[np.intp]

_CHUNK = 64
"""Permutations at a time."""


@dataclass(frozen=True)
class Response:
    """How the score follows the dose.

    Attributes:
        slope: mean over images of the least-squares slope of the change on the dose, through 0 at
            dose 0, beyond the control's.
        low, high: its 95 % interval by bootstrap over groups.
        p_value: edit and control are alike: the signs of the images' slopes flipped, group by
            group, two-sided, on the mean.
        p_trend: the dose makes no difference in any image: doses permuted within images, all
            images of a group alike; Page's trend statistic, two-sided.
    """

    slope: float
    low: float
    high: float
    p_value: float
    p_trend: float


def respond(
    excess: Floats, doses: Floats, group: Groups, permutations: int, bootstrap: int, seed: int
) -> Response:
    """Return how the score follows the dose.

    Args:
        excess: (n, doses), change of the score beyond the control's.
        doses: (doses,), not 0.
        group: (n,) numbers; images of one group count as dependent.
        permutations: behind each p-value.
        bootstrap: replicates behind the interval.
        seed: same seed, same answer.
    """
    if not len(excess):
        return Response(*[np.nan] * 5)
    own = slopes(excess, doses)
    low, high = mean_interval(own, group, bootstrap, seed)
    p = sampled_sign_flip_p(own, group, permutations, seed)
    trend = trend_p(excess, doses, group, permutations, seed)
    return Response(float(own.mean()), low, high, p, trend)


def slopes(excess: Floats, doses: Floats) -> Floats:
    """Return each image's least-squares slope through the origin, (n,).

    Args:
        excess: (n, doses).
        doses: (doses,).
    """
    return np.asarray(excess @ doses / np.square(doses).sum())


def trend_p(excess: Floats, doses: Floats, group: Groups, permutations: int, seed: int) -> float:
    """Test for a monotone trend by Page's statistic, doses permuted within images, two-sided.

    The unedited image takes part, with dose 0 and change 0. The null is that doses may be
    exchanged in every image: a score that follows them up in one image and down in the next
    breaks it, and makes the p-value small.

    Args:
        excess: (n, doses).
        doses: (doses,).
        group: (n,) numbers; images of a group are permuted alike.
        permutations: drawn.
        seed: same seed, same p-value.
    """
    full = np.column_stack([np.zeros(len(excess)), excess])
    order = rankdata(np.append(0.0, doses))
    ranks = rankdata(full, axis=1) - (full.shape[1] + 1) / 2
    _, number = np.unique(group, return_inverse=True)
    of_group = np.zeros((number.max() + 1, full.shape[1]))
    np.add.at(of_group, number, ranks)  # a group's permutation is one for all its images
    observed = abs(float((of_group @ order).sum()))
    rng, reached = np.random.default_rng(seed), 0
    for start in range(0, permutations, _CHUNK):
        shape = (min(_CHUNK, permutations - start), *of_group.shape)
        drawn = rng.permuted(np.broadcast_to(order, shape).copy(), axis=2)
        found = np.abs(np.einsum("pgd,gd->p", drawn, of_group))
        reached += int((found >= observed - 1e-9).sum())
    return (1 + reached) / (1 + permutations)
