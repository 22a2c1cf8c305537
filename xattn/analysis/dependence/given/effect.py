"""How much a feature tells beyond what is held fixed: a partial correlation and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.given.residuals import each_by_each
from xattn.analysis.dependence.given.statistics import Flips
from xattn.stats.arrays import Floats
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

SMALLEST_PARTIAL = 0.15
"""Partial correlation below which a feature adds nothing that matters: 2 % of the variance."""
_LEVEL = 0.95


@dataclass(frozen=True)
class Partial:
    """Correlation of two residuals.

    Attributes:
        effect: of one number and one score in [-1, 1]; of several the root of the fraction of the
            score's remaining variance that they explain, in [0, 1], freed of its excess by chance.
        low, high: 95 % percentile interval, bootstrap over groups; NaN below five groups.
        p_equivalent: how often the bootstrap's effect is as large as the smallest that matters;
            below alpha the feature adds less than that (at the level alpha).
    """

    effect: float
    low: float
    high: float
    p_equivalent: float

    @property
    def named(self) -> dict[str, float]:
        """By the names of the columns of feature_usage.csv."""
        return {
            "effect_given": self.effect,
            "effect_given_low": self.low,
            "effect_given_high": self.high,
            "p_equivalent": self.p_equivalent,
        }


NOTHING = Partial(np.nan, np.nan, np.nan, np.nan)


def partial_correlation(
    score: Floats, feature: Floats, flips: Flips, bootstrap: int, smallest: float, seed: int
) -> Partial:
    """Return the correlation of residuals.

    Args:
        score: (n, q) residuals.
        feature: (n, c) residuals, NaN where not known.
        flips: whose units are drawn.
        bootstrap: replicates.
        smallest: partial correlation that matters.
        seed: same seed, same interval.
    """
    rows = np.asarray(~np.isnan(feature).any(axis=1))
    if not rows.any() or not feature.shape[1] or not np.square(feature[rows]).sum():
        return NOTHING
    both = np.where(rows[:, None], np.concatenate([score, feature], axis=1), 0.0)
    moments = flips.sums(each_by_each(both, both))
    q, groups = score.shape[1], len(np.unique(flips.unit[rows]))
    one = q == 1 and feature.shape[1] == 1
    chance = 0.0 if one else feature.shape[1] / groups
    effect = _effects(moments.sum(axis=0)[None], q, chance)[0]
    if groups < FEWEST_GROUPS or not bootstrap:
        return Partial(float(effect), np.nan, np.nan, np.nan)
    weights = group_weights(None, len(moments), bootstrap, seed)
    # A replicate has the sample's own excess by chance, and that of drawing from it.
    drawn = _effects(weights @ moments.astype(np.float32), q, 2 * chance)
    low, high = percentile_interval(drawn, _LEVEL)
    reached = int((np.abs(drawn) >= smallest).sum())
    return Partial(float(effect), float(low), float(high), (1 + reached) / (1 + bootstrap))


def _effects(moments: NDArray[np.floating], q: int, chance: float) -> Floats:
    """Return the effect of each row of second moments (b, m * m), the first q being scores."""
    m = round(moments.shape[1] ** 0.5)
    square = moments.reshape(-1, m, m).astype(np.float64)
    of_score = np.maximum(np.diagonal(square, axis1=1, axis2=2)[:, :q], 1e-300)
    if q == 1 and m == 2:
        of_feature = np.maximum(square[:, 1, 1], 1e-300)
        return np.asarray(square[:, 0, 1] / np.sqrt(of_score[:, 0] * of_feature))
    within, across = square[:, q:, q:], square[:, q:, :q]
    ridge = 1e-6 * np.trace(within, axis1=1, axis2=2)[:, None, None] * np.eye(m - q)
    slopes = np.linalg.solve(within + ridge + 1e-12 * np.eye(m - q), across)
    explained = ((slopes * across).sum(axis=1) / of_score).mean(axis=1)
    return np.asarray(np.sqrt(np.clip(explained - chance * (1 - explained), 0.0, 1.0)))
