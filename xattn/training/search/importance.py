"""Which of the searched values mattered, beside what chance would make of as many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 2000
LEVEL = 0.95
FEWEST = 10
"""Trials below which nothing is said."""


@dataclass(frozen=True)
class Importance:
    """How much of the trials' differences one value of the recipe accounts for.

    Attributes:
        key: dotted key of the recipe.
        share: fraction of the variance of the trials' ranks between thirds of a range or choices
            (eta squared of Kruskal and Wallis 1952), in [0, 1].
        chance: what that fraction would stay below in 95 % of searches if the value did not matter.
            Trials were treated as independent, which a sampler that learns does not make them.
    """

    key: str
    share: float
    chance: float


def importances(
    columns: Mapping[str, Sequence[object]], metric: Sequence[float], *, seed: int = 0
) -> list[Importance]:
    """Return every value's importance, the largest first; none for fewer than ten trials.

    Args:
        columns: dotted key -> one number or one choice's label per trial.
        metric: of every trial.
        seed: of the permutations that give the chance level.
    """
    n = len(metric)
    if n < FEWEST or len(set(metric)) < 2:
        return []
    ranks = _ranks(np.asarray(metric, dtype=float))
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    found = []
    for key, values in columns.items():
        parts = _parts(values)
        fraction = float(_between(ranks[None], parts)[0])
        chance = float(np.quantile(_between(shuffled, parts), LEVEL))
        found.append(Importance(key, fraction, chance))
    return sorted(found, key=lambda one: -one.share)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(values)
    return ranks


def _parts(values: Sequence[object]) -> NDArray[np.float64]:
    """Return indicators (n, parts): thirds of a number's range, or one part per choice."""
    if all(isinstance(value, int | float) for value in values):
        numbers = np.asarray(values, dtype=float)
        codes = np.searchsorted(np.quantile(numbers, [1 / 3, 2 / 3]), numbers, side="left")
    else:
        _, codes = np.unique([str(value) for value in values], return_inverse=True)
    indicators = np.eye(codes.max() + 1)[codes]
    return np.asarray(indicators[:, indicators.any(0)])


def _between(ranks: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fraction (b,) of the variance of ranks (b, n) that lies between the parts."""
    n = ranks.shape[1]
    sizes = parts.sum(0)
    means = ranks @ parts / sizes
    centre = ranks.mean(1, keepdims=True)
    fraction: NDArray[np.float64] = ((means - centre) ** 2 @ sizes) / (n * ranks.var(1))
    return fraction
