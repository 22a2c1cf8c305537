"""Generalised covariance measures: do the residuals of score and feature still go together?

Every statistic is made of sums over groups of images. Under the null each group's contribution has
mean 0, so its sign may be flipped; the same flips serve all statistics and features, which makes
the least of several p-values exact to combine and Westfall and Young's adjustment possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, ndtr

from xattn.analysis.dependence.given.residuals import each_by_each
from xattn.stats.adjust import permuted_p
from xattn.stats.arrays import Codes, Floats, Floats32

STATISTICS = ("gcm", "wgcm", "pcm")
"""Plain, weighted (Scheidegger et al. 2022) and projected (Lundborg et al. 2024) measure."""

_MOST_UNITS = 4096


@dataclass(frozen=True)
class Flips:
    """Random signs of groups of images.

    Attributes:
        unit: (n,) number of each image's unit: its group, or of very many groups several together.
        fold: (units,) fold of each unit.
        signs: float32 (1 + P, units), the first all 1.
    """

    unit: Codes
    fold: Codes
    signs: Floats32

    @classmethod
    def of(cls, group: Codes, fold: Codes, permutations: int, seed: int) -> Flips:
        """Draw signs.

        Args:
            group: (n,) numbers from 0; a group lies in one fold.
            fold: (n,) numbers from 0.
            permutations: how many patterns of signs.
            seed: same seed, same signs.
        """
        rng = np.random.default_rng([seed, 6])
        groups = int(group.max()) + 1
        of_group = np.zeros(groups, dtype=np.intp)
        of_group[group] = fold
        folds = int(fold.max()) + 1
        # Of more groups than this several flip together, which is as right and bounds the memory.
        each = max(1, _MOST_UNITS // folds)
        drawn = rng.permutation(groups)
        place = np.empty(groups, dtype=np.intp)
        for k in range(folds):
            mine = drawn[of_group[drawn] == k]
            place[mine] = k * each + np.arange(len(mine)) % each
        names, unit_of_group = np.unique(place, return_inverse=True)
        signs = rng.integers(0, 2, (1 + permutations, len(names)), dtype=np.int8)
        flips = (2 * signs - 1).astype(np.float32)
        flips[0] = 1.0
        return cls(unit_of_group.reshape(-1)[group], names // each, flips)

    @property
    def units(self) -> int:
        """How many flip apart."""
        return len(self.fold)

    def sums(self, contributions: Floats) -> Floats:
        """Add contributions (n, k) up by units; rows with a gap add nothing.

        Args:
            contributions: (n, k).
        """
        filled = np.where(np.isnan(contributions), 0.0, contributions)
        found = np.zeros((self.units, filled.shape[1]))
        np.add.at(found, self.unit, filled)
        return found


@dataclass(frozen=True)
class Contributions:
    """What each unit adds to the covariance of two residuals.

    Attributes:
        plain: (units, k) score times feature.
        weighted: (units, l) the same times functions of what is held fixed.
        projected: (units, m) the same for all functions of the feature, and by label.
        spent: degrees of freedom of the regressions, see `widening`.
    """

    plain: Floats
    weighted: Floats
    projected: Floats
    spent: float

    @classmethod
    def of(
        cls, score: Floats, feature: Floats, first: int, predicted: Floats, labels: Floats,
        flips: Flips, spent: float,
    ) -> Contributions:  # fmt: skip
        """Multiply residuals.

        Args:
            score: (n, q) residuals.
            feature: (n, c) residuals of the functions that are tested.
            first: how many of these say the feature itself.
            predicted: (n, q) what the regression says of the score: a weight.
            labels: (n, labels - 1), weights too.
            flips: the units.
            spent: degrees of freedom of the regressions.
        """
        plain = each_by_each(score, feature[:, :first])
        by_label = each_by_each(plain, labels)
        whole = each_by_each(score, feature)
        return cls(
            flips.sums(plain),
            flips.sums(np.concatenate([plain, by_label, each_by_each(plain, predicted)], axis=1)),
            flips.sums(np.concatenate([whole, by_label], axis=1)),
            spent,
        )

    @classmethod
    def joined(cls, several: list[Contributions]) -> Contributions:
        """Put features together that are tested as one.

        Args:
            several: of each feature.
        """
        return cls(
            np.concatenate([one.plain for one in several], axis=1),
            np.concatenate([one.weighted for one in several], axis=1),
            np.concatenate([one.projected for one in several], axis=1),
            max(one.spent for one in several),
        )

    def statistics(self, flips: Flips) -> Floats:
        """Return gcm, wgcm and pcm under all signs: (1 + P, 3); NaN where nothing varies."""
        found = np.stack(
            [
                _largest(self.plain, flips),
                _largest(self.weighted, flips),
                _projected(self.projected, flips),
            ],
            axis=1,
        )
        wider = widening(self.spent, flips.units, len(np.unique(flips.fold)))
        found[0] /= np.array([np.sqrt(wider), np.sqrt(wider), wider])
        return found


def smallest_p(values: Floats) -> Floats:
    """Return the least of the three statistics' p-values under each pattern of signs: (1 + P,).

    Each statistic's p-value is its rank among all patterns. Only the first of all is told by how
    far it stands out, or a strong effect would be as good as the best of chance: it gets the
    p-value of the largest of k independent normal sums, with the k at which its median over the
    signs is right, and of the quadratic form that of a Pearson type III distribution with its
    moments over the signs, if that is less. What counts is the rank of the observed among all.

    Args:
        values: (1 + P, 3) gcm, wgcm and pcm, the observed first.
    """
    if np.isnan(values).any():
        return np.full(len(values), np.nan)
    parametric = np.stack(
        [_p_of_largest(values[:, 0]), _p_of_largest(values[:, 1]), _p_of_form(values[:, 2])], axis=1
    )
    ranked = permuted_p(values)
    first = ranked < 1.5 / len(values)
    each = np.where(first, np.minimum(ranked, parametric), ranked)
    return np.asarray(np.maximum(each, 1e-300).min(axis=1))


def _p_of_largest(values: Floats) -> Floats:
    k = np.log(0.5) / np.log1p(-2 * ndtr(-max(float(np.median(values)), 1e-6)))
    return np.asarray(-np.expm1(k * np.log1p(-2 * ndtr(-values))))


def _p_of_form(values: Floats) -> Floats:
    spread = float(values.std())
    z = (values - values.mean()) / (spread or 1.0)
    turned = float(np.clip((z**3).mean(), 0.01, 5.0))
    # Pearson III of skewness s is a gamma distribution of shape 4 / s^2, shifted and scaled.
    shape = 4 / turned**2
    return np.asarray(gammaincc(shape, np.maximum(0.0, shape + z * np.sqrt(shape))))


def fraction_as_small(least: Floats) -> float:
    """Return the fraction of values (1 + P,) that are at most the first; NaN if they are.

    Args:
        least: of `smallest_p`, the observed one first.
    """
    return float((least <= least[0] * (1 + 1e-9)).mean()) if np.isfinite(least[0]) else np.nan


def widening(spent: float, units: int, folds: int) -> float:
    """Return by how much the variance of a sum of products of residuals exceeds what they tell.

    With out-of-fold hat matrix W the sum is e' (I - W)' (I - W) x for noises e and x. Its variance
    is that matrix's squared norm; the products' own sizes see the rows of I - W alone, and not that
    errors of the regressions carry the same noise into other units. For hat matrices of `spent`
    degrees of freedom, c = folds / (folds - 1), the difference is spent / units times

        (2 c - c^2 (folds - 2) / folds)^2 / c + c^2 / folds.

    Args:
        spent: degrees of freedom.
        units: independent units.
        folds: of the cross-fitting.
    """
    c = folds / max(1, folds - 1)
    factor = (2 * c - c**2 * (folds - 2) / folds) ** 2 / c + c**2 / folds
    return 1 + factor * spent / max(1, units)


def _largest(sums: Floats, flips: Flips) -> Floats:
    """Return the largest absolute studentised sum (Shah and Peters 2020, equation 7)."""
    scale = np.sqrt(np.square(sums).sum(axis=0))
    good = scale > 0
    if not good.any():
        return np.full(len(flips.signs), np.nan)
    found = flips.signs @ (sums[:, good] / scale[good]).astype(np.float32)
    return np.asarray(np.abs(found).max(axis=1), dtype=np.float64)


def _projected(sums: Floats, flips: Flips) -> Floats:
    """Return the covariance with the direction that the other folds show, added over folds.

    For a linear projection, the direction of fold k is A times the sum over the other folds, with
    A the inverse of the second moments; so the statistic is a quadratic form in the sums without
    its diagonal of folds, and the signs that are flipped change the directions too (Lundborg, Kim,
    Shah and Samworth 2024, algorithm 1, made symmetric in the folds).
    """
    values, vectors = np.linalg.eigh(sums.T @ sums)
    good = values > 1e-8 * max(values.max(initial=0.0), 1e-300)
    good &= np.arange(len(values)) >= len(values) - max(1, len(sums) // 5)
    if not values.max(initial=0.0) > 0:
        return np.full(len(flips.signs), np.nan)
    white = (sums @ (vectors[:, good] / np.sqrt(values[good]))).astype(np.float32)
    of_folds = np.stack([
        flips.signs[:, flips.fold == k] @ white[flips.fold == k] for k in np.unique(flips.fold)
    ])  # fmt: skip
    form = np.square(of_folds.sum(axis=0)).sum(axis=1) - np.square(of_folds).sum(axis=(0, 2))
    return np.asarray(form, dtype=np.float64)
