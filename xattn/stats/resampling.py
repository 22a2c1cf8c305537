"""Bootstrap over groups: every replicate is a row of weights, every statistic a weighted one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.stats.codes import group_codes
from xattn.stats.drawn import Drawn

FEWEST_GROUPS = 5
"""With fewer groups no interval is given: a bootstrap of so few would be far too narrow."""


def drawn_weights(
    groups: ArrayLike | None, n: int, replicates: int, seed: int
) -> Drawn[np.float32]:
    """Return how often each row is drawn in each replicate: (replicates, n), a block at a time.

    A replicate draws as many groups as there are, with replacement, and all rows of each.

    Args:
        groups: (n,) values of any kind; missing ones stand alone. None: every row does.
        n: number of rows.
        replicates: how many.
        seed: same seed, same weights.

    Source: Efron and Tibshirani 1993; whole groups, Davison and Hinkley 1997, 3.8.
    """
    number = group_codes(groups, n)
    n_groups = int(number.max()) + 1 if n else 0

    def some_at_a_time(size: int) -> Iterator[NDArray[np.float32]]:
        rng = np.random.default_rng(seed)
        for start in range(0, max(1, replicates), size):
            rows = min(size, replicates - start)
            if not n_groups:
                yield np.zeros((rows, 0), dtype=np.float32)
                continue
            drawn = rng.integers(0, n_groups, (rows, n_groups))
            drawn += n_groups * np.arange(rows)[:, None]
            times = np.bincount(drawn.reshape(-1), minlength=rows * n_groups)
            yield times.reshape(rows, n_groups).astype(np.float32)[:, number]

    return Drawn((replicates, n), some_at_a_time)


def group_weights(
    groups: ArrayLike | None, n: int, replicates: int, seed: int
) -> NDArray[np.float32]:
    """Return all of `drawn_weights` as one array, (replicates, n).

    Args:
        groups, n, replicates, seed: as there.
    """
    return np.asarray(drawn_weights(groups, n, replicates, seed))


def percentile_interval(
    replicates: NDArray[np.floating], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper percentile of replicates (replicates, ...) along the first axis.

    Replicates that are NaN (a cell was empty in that draw) are left out; where they are more than
    a twentieth, both ends are NaN.

    Args:
        replicates: (replicates, ...).
        level: of the interval, in (0, 1).

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    values = np.asarray(replicates, dtype=np.float64)
    missing = np.isnan(values).mean(axis=0) > 0.05
    tail = (1 - level) / 2
    filled = np.where(missing, 0.0, values)  # nanquantile warns of columns without a number
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)


def mean_interval(
    values: NDArray[np.floating], group: NDArray[np.intp], bootstrap: int, seed: int
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean, bootstrap over groups; NaN below five.

    Args:
        values: (n,), all known.
        group: (n,) numbers.
        bootstrap, seed: replicates and their seed.
    """
    if len(np.unique(group)) < FEWEST_GROUPS:
        return np.nan, np.nan
    weights = group_weights(group, len(values), bootstrap, seed)
    low, high = percentile_interval((weights @ values) / weights.sum(axis=1))
    return float(low), float(high)
