"""Do two methods show the same thing? Rank correlation and shared top pixels of their maps.

Two maps of one image agree a good deal by habit alone: both prefer the middle. So beside each
number stands what the same maps reach when paired with the other method's maps of *other* images
of the same label, and a permutation test of the difference.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from xattn.analysis.adjust import holm, two_sided_p
from xattn.analysis.codes import codes, group_codes
from xattn.analysis.permutation import within_label_permutations
from xattn.analysis.resampling import FEWEST_GROUPS, group_weights, percentile_interval
from xattn.images.geometry import bilinear_matrix

Array = NDArray[np.float64]
TOP = 0.1
MOST_IMAGES = 2000
_FINEST = 28


def agreement_table(
    maps: dict[str, NDArray[np.float32]],
    label: NDArray[Any] | pd.Series[Any],
    group: NDArray[Any] | pd.Series[Any],
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return agreement.csv: one row per pair of methods.

    Maps are compared on the finer of the two grids, but at most 28 x 28: the coarser map upsampled
    bilinearly, a finer one averaged. Images with a degenerate map are left out; of more than 2,000,
    a random 2,000 are compared.

    Args:
        maps: method -> (n, h, w), unnormalised.
        label, group: (n,), missing labels are one more label.
        permutations, bootstrap, seed: of p-values and intervals.

    Columns: method_a, method_b, n; rank_correlation (Spearman over pixels, mean over images) with
    low, high and chance_rank_correlation; overlap (share of the top tenth of pixels in common)
    with low, high and chance_overlap (0.1 for unrelated maps without habits); p_value (of the
    rank correlation, two-sided) and p_adjusted (Holm).
    """
    strata = codes(pd.Series(label).astype(object).where(pd.notna(label), "?"))[0]
    number = group_codes(group, len(strata))
    rows = [
        _pair(a, b, maps[a], maps[b], strata, number, permutations, bootstrap, seed)
        for a, b in combinations(maps, 2)
    ]
    table = pd.DataFrame(rows)
    if len(table):
        table["p_adjusted"] = holm(table["p_value"])
    return table


def _pair(
    name_a: str,
    name_b: str,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    label: NDArray[np.intp],
    group: NDArray[np.intp],
    permutations: int,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    good = np.flatnonzero(_usable(a) & _usable(b))
    if len(good) > MOST_IMAGES:
        chosen = np.random.default_rng(seed).choice(good, MOST_IMAGES, replace=False)
        good = np.sort(chosen)
    facts = {"method_a": name_a, "method_b": name_b, "n": len(good)}
    drawn = within_label_permutations(label[good], group[good], permutations, seed)
    rows, index = good[drawn.kept], drawn.of_kept()
    if len(rows) < 2:
        return {**facts, **dict.fromkeys(_NUMBERS, np.nan)}
    both = on_common_grid(a[rows], b[rows])
    ranks = [standardised_ranks(m) for m in both]
    tops = [_top(m) for m in both]
    correlations = ranks[0] @ ranks[1].T
    overlaps = (tops[0] @ tops[1].T) / tops[0].sum(axis=1)[:, None]
    each = np.arange(len(rows))
    means = correlations[each, index].mean(axis=1)
    weights = None
    if len(np.unique(group[rows])) >= FEWEST_GROUPS:
        weights = group_weights(group[rows], len(rows), bootstrap, seed)
    rank_low, rank_high = _interval(correlations.diagonal(), weights)
    top_low, top_high = _interval(overlaps.diagonal(), weights)
    values = (
        correlations.diagonal().mean(),
        rank_low,
        rank_high,
        means[1:].mean(),
        overlaps.diagonal().mean(),
        top_low,
        top_high,
        overlaps[each, index[1:]].mean(),
        two_sided_p(means),
    )
    return {**facts, "n": len(rows), **dict(zip(_NUMBERS, map(float, values), strict=True))}


_NUMBERS = (
    "rank_correlation",
    "rank_correlation_low",
    "rank_correlation_high",
    "chance_rank_correlation",
    "overlap",
    "overlap_low",
    "overlap_high",
    "chance_overlap",
    "p_value",
)


def _usable(maps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a map is finite and not constant, (n,)."""
    flat = maps.reshape(len(maps), -1)
    return np.asarray(np.isfinite(flat).all(axis=1) & (flat.max(axis=1) > flat.min(axis=1)))


def on_common_grid(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[Array, Array]:
    """Bring maps (n, h, w) of two methods to one grid and flatten: (n, pixels) each.

    Along each side it is the finer one's, at most 28 cells.
    """
    grid = tuple(min(_FINEST, max(x, y)) for x, y in zip(a.shape[1:], b.shape[1:], strict=True))
    return _on_grid(a, grid), _on_grid(b, grid)


def standardised_ranks(values: Array) -> Array:
    """Rank each row (n, pixels), centred and of length 1: products are Spearman's correlations."""
    ranks = rankdata(values, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    unit: Array = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit


def _on_grid(maps: NDArray[np.float32], grid: tuple[int, ...]) -> Array:
    """Bring (n, h, w) to a grid and flatten: (n, pixels)."""
    down, across = (_resampling(*sides) for sides in zip(maps.shape[1:], grid, strict=True))
    return np.asarray(down @ maps.astype(np.float64) @ across.T).reshape(len(maps), -1)


def _resampling(n_in: int, n_out: int) -> Array:
    """Return (n_out, n_in): bilinear upsampling, or its adjoint as a weighted mean."""
    if n_out >= n_in:
        return bilinear_matrix(n_in, n_out)
    back = bilinear_matrix(n_out, n_in).T
    mean: Array = back / back.sum(axis=1, keepdims=True)
    return mean


def _top(values: Array) -> Array:
    """Mark the top tenth of pixels of each row; ties at the edge share what is left."""
    k = max(1, round(TOP * values.shape[1]))
    edge = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > edge, values == edge
    left = (k - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return np.asarray(above + tied * left, dtype=np.float64)


def _interval(values: Array, weights: NDArray[np.float32] | None) -> tuple[float, float]:
    if weights is None:
        return np.nan, np.nan
    low, high = percentile_interval((weights @ values) / weights.sum(axis=1))
    return float(low), float(high)
