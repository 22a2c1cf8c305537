"""Units assigned to splits at random within strata, so that the splits are alike.

Within every stratum (units of one class, size, and value of named columns) each split gets its
fraction of the units, rounded up or down at random, and which units is left to chance. Of several
such assignments the one is taken in which the images are nearest to their fractions, and single
units are moved as long as that brings them nearer. Chance within the strata is what keeps columns
alike that nobody named; a rule that gives the largest units first to the split that lacks most
fills that split with large units.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CANDIDATES = 24
_MOVES = 200
_NOTHING = 1e-9
"""A fraction of the images below which a split gets none."""
_CLASS_WEIGHT = 10.0
"""Of the images of a class against those of another margin: classes come first."""

Counts = NDArray[np.float64]
Codes = NDArray[np.intp]


def stratified_split(
    classes: Counts, margins: Counts, strata: Codes, fractions: tuple[float, ...], seed: int
) -> Codes:
    """Assign whole units to splits.

    Args:
        classes: images of every class in each unit (units, classes).
        margins: what else is to be in proportion, counted likewise (units, columns).
        strata: number of each unit's stratum (units,).
        fractions: of the images, per split; 0 for a split that gets nothing; their sum is 1.
        seed: what chance follows from.

    Returns:
        Index of each unit's split (units,). Every class is in every split if it has as many units
        as there are splits.
    """
    used = np.flatnonzero(np.array(fractions) > _NOTHING)
    fraction = np.array(fractions)[used]
    rng = np.random.default_rng(seed)
    _, strata = np.unique(strata, return_inverse=True)
    balance = _Balance(classes, margins, fraction)
    candidates = [_within_strata(strata, fraction, rng) for _ in range(_CANDIDATES)]
    home = candidates[int(np.argmin([balance.distance(one) for one in candidates]))]
    home = balance.improved(home, rng)
    return np.asarray(used[_with_every_class(classes, home, len(used), rng)])


def _within_strata(strata: Codes, fraction: Counts, rng: np.random.Generator) -> Codes:
    """Give every split its fraction of each stratum, up to one unit, at random."""
    sizes = np.bincount(strata)
    wanted = sizes[:, None] * fraction
    quota = np.floor(np.round(wanted, 9))
    # What is left of a stratum goes to different splits, each with the chance that is its due:
    # systematic sampling along the splits in random order.
    order = rng.permuted(np.tile(np.arange(len(fraction)), (len(sizes), 1)), axis=1)
    rest = np.take_along_axis(wanted - quota, order, axis=1).cumsum(axis=1)
    reached = np.floor(np.round(rest + rng.random((len(sizes), 1)), 9))
    extra = np.diff(reached, axis=1, prepend=0)
    np.put_along_axis(quota, order, np.take_along_axis(quota, order, axis=1) + extra, axis=1)

    shuffled = np.lexsort((rng.random(len(strata)), strata))
    rank = np.empty(len(strata), dtype=np.intp)
    rank[shuffled] = np.arange(len(strata)) - (np.cumsum(sizes) - sizes)[strata[shuffled]]
    ends = quota.cumsum(axis=1)[strata]
    return np.asarray((rank[:, None] >= ends[:, :-1]).sum(axis=1), dtype=np.intp)


class _Balance:
    """How far an assignment is from the fractions: a weighted chi-square over classes and margins.

    Units of the same composition are one type, so that whole arrays are small and ties are exact.
    """

    def __init__(self, classes: Counts, margins: Counts, fraction: Counts) -> None:
        parts = np.hstack([classes, classes.sum(axis=1, keepdims=True), margins])
        weight = np.ones(parts.shape[1])
        weight[: classes.shape[1]] = _CLASS_WEIGHT
        self._parts, self._type = np.unique(parts, axis=0, return_inverse=True)
        totals = parts.sum(axis=0)
        self._scale = weight / np.maximum(totals, 1)
        self._expected = fraction[:, None] * totals
        self._fraction = fraction

    def distance(self, home: Codes) -> float:
        """Return the weighted chi-square of an assignment, rounded so that machines agree."""
        off = self._off(home)
        return float(np.round((off**2 * self._scale / self._fraction[:, None]).sum(), 9))

    def improved(self, home: Codes, rng: np.random.Generator) -> Codes:
        """Move single units as long as a move brings it nearer to the fractions."""
        home, splits = home.copy(), len(self._fraction)
        chance = rng.random(len(home))
        scaled = self._parts * self._scale
        square = (scaled * self._parts).sum(axis=1)[:, None]
        for _ in range(_MOVES):
            leaning = 2 * scaled @ self._off(home).T  # (types, splits)
            gains = (square + leaning) / self._fraction
            losses = (square - leaning) / self._fraction
            there = np.zeros((len(self._parts), splits), dtype=bool)
            there[self._type, home] = True
            change = losses[:, :, None] + gains[:, None, :]  # (types, from, to)
            change[~there] = np.inf
            change[:, np.arange(splits), np.arange(splits)] = np.inf
            best = int(np.argmin(np.round(change, 9)))
            kind, source, target = np.unravel_index(best, change.shape)
            if change[kind, source, target] > -1e-6:
                break
            able = np.flatnonzero((self._type == kind) & (home == source))
            home[able[np.argmin(chance[able])]] = target
        return home

    def _off(self, home: Codes) -> Counts:
        """Return how many images each split has too many: (splits, columns)."""
        held = np.zeros((len(self._parts), len(self._fraction)))
        np.add.at(held, (self._type, home), 1)
        return np.asarray(held.T @ self._parts - self._expected)


def _with_every_class(classes: Counts, home: Codes, splits: int, rng: np.random.Generator) -> Codes:
    """Give every split a unit of each class that has enough units, the smallest that can be had."""
    home = home.copy()
    order = np.lexsort((rng.random(len(home)), classes.sum(axis=1)))
    has = classes > 0
    for label in np.flatnonzero(has.sum(axis=0) >= splits):
        for split in range(splits):
            if (has[:, label] & (home == split)).any():
                continue
            for one in order[has[order, label]]:
                own = home == home[one]
                if (has[own].sum(axis=0)[has[one]] > 1).all():  # it leaves no class without any
                    home[one] = split
                    break
    return home
