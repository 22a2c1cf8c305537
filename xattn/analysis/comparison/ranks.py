"""More than two models at once: mean ranks over seeds, Friedman's test, Nemenyi's distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from xattn.stats.adjust import upper_p
from xattn.stats.arrays import Floats

PERMUTATIONS = 4999


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of k models.

    Attributes:
        mean: (k,), 1 is best.
        blocks: seeds that all models share.
        statistic: Friedman's chi-square.
        p_value: of no difference between any models.
        critical_difference: mean ranks nearer than this cannot be told apart.
    """

    mean: Floats
    blocks: int
    statistic: float
    p_value: float
    critical_difference: float


def rank_models(values: Floats, alpha: float, seed: int = 0) -> Ranks:
    """Rank models within each seed (Friedman 1937) and say how far apart ranks must be.

    The p-value is that of Friedman's statistic under 4,999 exchanges of the models within seeds,
    since its chi-square needs more seeds than anybody trains. The critical difference is
    Nemenyi's (Demsar 2006), asymptotic and therefore rough with few seeds.

    Args:
        values: (blocks, models), at least 2 x 3, large is good.
        alpha: level of the critical difference.
        seed: of the exchanges.

    Returns:
        Mean ranks (models,), 1 is best, Friedman's test, and Nemenyi's critical difference.

    Source: Friedman 1937; Demšar, Journal of Machine Learning Research 2006.
    """
    blocks, k = values.shape
    ranks = stats.rankdata(-values, axis=1)
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.broadcast_to(ranks, (PERMUTATIONS, blocks, k)), axis=2)
    sums = np.concatenate([ranks[None], shuffled]).sum(axis=1)
    spread = np.square(sums - blocks * (k + 1) / 2).sum(axis=1)
    p = float(upper_p(spread))
    varies = bool((ranks != ranks[:, :1]).any())
    chi2 = float(stats.friedmanchisquare(*values.T).statistic) if varies else 0.0
    distance = float(stats.studentized_range.isf(alpha, k, np.inf)) / 2**0.5
    critical = distance * (k * (k + 1) / (6 * blocks)) ** 0.5
    return Ranks(ranks.mean(axis=0), blocks, chi2, p, critical)
