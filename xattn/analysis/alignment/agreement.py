"""Do two methods show the same thing? Rank correlation and shared top pixels of their maps.

Two maps of one image agree a good deal by habit alone: both prefer the middle. So beside each
number stands what the same maps reach when paired with the other method's maps of *other* images
of the same label, and a permutation test of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from xattn.analysis.alignment.read_maps import Maps, chunks, taken
from xattn.images.cells import Cells, interpolation
from xattn.stats.adjust import holm, two_sided_p
from xattn.stats.arrays import Floats
from xattn.stats.codes import codes, group_codes
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

TOP = 0.1
MOST_IMAGES = 2000
_FINEST = 28


def agreement_table(
    maps: Mapping[str, Maps],
    cells: Mapping[str, Cells],
    label: NDArray[Any] | pd.Series[Any],
    group: NDArray[Any] | pd.Series[Any],
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return agreement.csv: one row per pair of methods.

    Maps are compared at common places of the view, as many as the finer of the two grids has
    cells, but at most 28 x 28: the coarser map interpolated, a finer one averaged. Images with a
    degenerate map are left out; of more than 2,000, a random 2,000 are compared.

    Args:
        maps: method -> (n, h, w), unnormalised; read a few images at a time.
        cells: method -> where its cells lie in the view.
        label, group: (n,), missing labels are one more label.
        permutations, bootstrap, seed: of p-values and intervals.

    Columns: method_a, method_b, n; rank_correlation (Spearman over pixels, mean over images) with
    low, high and chance_rank_correlation; overlap (fraction of the top tenth of pixels in common)
    with low, high and chance_overlap (0.1 for unrelated maps without habits); p_value (of the
    rank correlation, two-sided) and p_adjusted (Holm).
    """
    strata = codes(pd.Series(label).astype(object).where(pd.notna(label), "?"))[0]
    number = group_codes(group, len(strata))
    usable = {method: _usable(maps[method], len(strata)) for method in maps}
    rows = [
        _pair(
            (a, b),
            (maps[a], maps[b]),
            np.flatnonzero(usable[a] & usable[b]),
            (cells[a], cells[b]),
            strata,
            number,
            permutations,
            bootstrap,
            seed,
        )
        for a, b in combinations(maps, 2)
    ]
    table = pd.DataFrame(rows)
    if len(table):
        table["p_adjusted"] = holm(table["p_value"])
    return table


def _pair(
    names: tuple[str, str],
    maps: tuple[Maps, Maps],
    good: NDArray[np.intp],
    cells: tuple[Cells, Cells],
    label: NDArray[np.intp],
    group: NDArray[np.intp],
    permutations: int,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    if len(good) > MOST_IMAGES:
        chosen = np.random.default_rng(seed).choice(good, MOST_IMAGES, replace=False)
        good = np.sort(chosen)
    facts = {"method_a": names[0], "method_b": names[1], "n": len(good)}
    drawn = within_label_permutations(label[good], group[good], permutations, seed)
    rows, index = good[drawn.kept], np.asarray(drawn.of_kept())
    if len(rows) < 2:
        return {**facts, **dict.fromkeys(_NUMBERS, np.nan)}
    both = at_common_places((taken(maps[0], rows), taken(maps[1], rows)), cells)
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


def _usable(maps: Maps, n: int) -> NDArray[np.bool_]:
    """Where a map is finite and not constant, (n,)."""
    usable = np.zeros(n, dtype=bool)
    for rows, some in chunks(maps, n):
        flat = some.reshape(len(some), -1)
        usable[rows] = np.isfinite(flat).all(axis=1) & (flat.max(axis=1) > flat.min(axis=1))
    return usable


def at_common_places(
    maps: tuple[NDArray[np.float32], NDArray[np.float32]], cells: tuple[Cells, Cells]
) -> tuple[Floats, Floats]:
    """Read maps (n, h, w) of two methods at the same places of the view: (n, places) each.

    Where the cells of both lie alike, at their centres. Else at the centres of equal parts of the
    view, along each side as many as the finer map has cells; in any case at most 28.

    Args:
        maps: of the two methods, (n, h, w) each.
        cells: where their cells lie.

    Returns:
        The values of either at the same places, (n, places) each.
    """
    finest = (max(c.grid[axis] for c in cells) for axis in (0, 1))
    rows, columns = (min(_FINEST, n) for n in finest)
    alike = (rows, columns) == cells[0].grid and cells[0].is_near(cells[1])
    common = cells[0] if alike else Cells.spread((rows, columns), cells[0].size)
    first, second = (
        _read_at(m, cells[0] if alike else own, common) for m, own in zip(maps, cells, strict=True)
    )
    return first, second


def standardised_ranks(values: Floats) -> Floats:
    """Rank each row (n, pixels), centred and of length 1: products are Spearman's correlations.

    Args:
        values: (n, places), none of them constant.

    Returns:
        (n, places), each row of mean 0 and length 1.
    """
    ranks = rankdata(values, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    unit: Floats = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit


def _read_at(maps: NDArray[np.float32], cells: Cells, common: Cells) -> Floats:
    """Bring maps (n, h, w) from their cells to others and flatten: (n, places)."""
    rows, columns = _reading(cells.y, common.y), _reading(cells.x, common.x)
    return np.asarray(rows @ maps.astype(np.float64) @ columns.T).reshape(len(maps), -1)


def _reading(centres: tuple[float, ...], places: tuple[float, ...]) -> Floats:
    """Return (places, cells): interpolation, or of finer cells its adjoint as a weighted mean."""
    between = interpolation(centres, np.array(places))
    if len(places) >= len(centres):
        return between
    back = interpolation(places, np.array(centres)).T
    total = back.sum(axis=1, keepdims=True)
    # A place that no cell is near: the cells leave a margin there.
    return np.where(total > 0, back / np.where(total > 0, total, 1), between)


def _top(values: Floats) -> Floats:
    """Mark the top tenth of pixels of each row; ties at the edge share what is left."""
    k = max(1, round(TOP * values.shape[1]))
    edge = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > edge, values == edge
    left = (k - above.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    return np.asarray(above + tied * left, dtype=np.float64)


def _interval(values: Floats, weights: NDArray[np.float32] | None) -> tuple[float, float]:
    if weights is None:
        return np.nan, np.nan
    low, high = percentile_interval((weights @ values) / weights.sum(axis=1))
    return float(low), float(high)
