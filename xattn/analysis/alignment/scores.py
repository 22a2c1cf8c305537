"""How well an attribution map falls on a mask, for many maps at once.

| score         | is                                                          | by chance |
|---------------|-------------------------------------------------------------|-----------|
| mass          | fraction of the positive attribution inside the mask           | area      |
| lift          | mass / area, area being the mask's fraction of the pixels      | 1         |
| pointing      | 1 if the highest pixel is inside the mask, else 0           | area      |
| auc           | chance that a pixel inside ranks above one outside          | 1/2       |
| rank_accuracy | fraction inside among as many top pixels as the mask has       | area      |
| topk          | fraction inside among the top tenth of all pixels              | area      |

"By chance" is for a map that knows nothing; maps and masks that both prefer the centre score
higher, which is why `alignment` compares with the masks of other images.

One sort per map serves the last four scores of all its masks. Ties count by expectation: where
the k-th pixel lies within a run of equal values, that run is taken in the proportion needed, so a
flat or clipped map gains nothing from the order of pixels in memory.

Sources: pointing game (Zhang et al., ECCV 2016), relevance mass and rank accuracy (Arras et al.,
Information Fusion 2022), top-k intersection (Theiner et al., WACV 2022), AUC (Fawcett 2006),
lift = size-weighted attribution localisation (Kohlbrenner et al., IJCNN 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.images import Cells

_MOST_PARTS = 28
TOP = 0.1
"""Fraction of a map's pixels that `topk` looks at."""


@dataclass(frozen=True)
class RankScores:
    """Scores of maps against one mask each: float64 (n,), NaN where the mask is empty.

    `auc` is NaN also where the mask is everything.
    """

    pointing: NDArray[np.float64]
    auc: NDArray[np.float64]
    rank_accuracy: NDArray[np.float64]
    topk: NDArray[np.float64]


def degenerate(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Say which maps (n, h, w) cannot be scored: (n,) booleans.

    These are maps that hold NaN or infinity, that are constant, or that have no positive value.

    Args:
        maps: (n, h, w), unnormalised.

    Returns:
        (n,) booleans.
    """
    flat = maps.reshape(len(maps), -1)
    finite = np.isfinite(flat).all(axis=1)
    high = np.where(finite, flat.max(axis=1), 0)
    low = np.where(finite, flat.min(axis=1), 0)
    result: NDArray[np.bool_] = ~(finite & (high > 0) & (high > low))
    return result


def on_grid(masks: NDArray[np.bool_], cells: Cells) -> NDArray[np.float64]:
    """Bring masks (n, H, W) of the view to the cells of maps: float64 (n, h * w).

    This is the adjoint of `upsample`: the sum of an upsampled map over a mask's pixels is the dot
    product of the map with the row returned here. One matrix product so gives the mass of every
    map in every mask, and no map is ever upsampled for it.

    Args:
        masks: (n, H, W) of the view.
        cells: of the maps, where they lie in the view.

    Returns:
        float64 (n, h * w).
    """
    rows, columns = cells.matrices(*masks.shape[1:])
    return (rows.T @ (masks @ columns)).reshape(len(masks), -1)


def positive_fraction(maps: NDArray[np.floating], cells: Cells) -> NDArray[np.float64]:
    """Scale the positive part of maps (n, h, w) so that they sum to 1 over the view's pixels.

    Negative values are cut at the map's own resolution, before upsampling. Returns float64
    (n, h * w); `positive_fraction @ on_grid.T` is the mass of each map in each mask of
    `cells.size`. Rows of degenerate maps are NaN.

    Args:
        maps: (n, h, w), unnormalised.
        cells: where their cells lie in the view.
    """
    positive = np.clip(maps, 0, None).astype(np.float64).reshape(len(maps), -1)
    everything = on_grid(np.ones((1, *cells.size), dtype=bool), cells)
    total = np.where(degenerate(maps), np.nan, positive @ everything[0])
    fractions: NDArray[np.float64] = positive / total[:, None]
    return fractions


@dataclass(frozen=True)
class Parts:
    """A grid of cells in at most 28 x 28 parts, so that pixels cost no more memory than a grid.

    Attributes:
        grid: rows and columns of cells.
        rows, columns: where parts begin.
    """

    grid: tuple[int, int]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, grid: tuple[int, int]) -> Parts:
        """Cut a grid as evenly as it can be; of at most 28 cells a side each is a part.

        Args:
            grid: rows and columns.
        """
        return cls(grid, *(np.arange(m := min(n, _MOST_PARTS)) * n // m for n in grid))

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.rows) * len(self.columns)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the cells (n, h * w) of each part: (n, parts).

        Args:
            values: (n, h * w).
        """
        if self.count == self.grid[0] * self.grid[1]:
            return values
        whole = values.reshape(len(values), *self.grid)
        added = np.add.reduceat(np.add.reduceat(whole, self.rows, axis=1), self.columns, axis=2)
        return added.reshape(len(values), -1)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the cells (n, h * w) of each part: (n, parts).

        Args:
            values: (n, h * w).
        """
        if self.count == self.grid[0] * self.grid[1]:
            return values
        return self.sums(values) / self.sums(np.ones((1, values.shape[1])))


@dataclass(frozen=True)
class RankedMaps:
    """The pixels of n maps in order, computed once and asked by every mask.

    Attributes:
        rank: int32 (n, N), of each pixel: twice its mean rank, 1 the highest, ties sharing.
        ordered: int32 (n, N), the same values in descending order of the map.
        first: int32 (n, N), in that order: where the run of ties begins, counted from 0.
    """

    rank: NDArray[np.int32]
    ordered: NDArray[np.int32]
    first: NDArray[np.int32]

    @classmethod
    def of(cls, maps: NDArray[np.floating]) -> RankedMaps:
        """Rank the pixels of maps (n, H, W), which hold no NaN.

        Args:
            maps: (n, H, W).

        Returns:
            The maps with the rank of every pixel.
        """
        flat = -np.asarray(maps).reshape(len(maps), -1)
        n, pixels = flat.shape
        order = np.argsort(flat, axis=1)
        ascending = np.take_along_axis(flat, order, axis=1)
        new = np.ones((n, pixels + 1), dtype=bool)  # does a run of ties begin here?
        new[:, 1:-1] = ascending[:, 1:] != ascending[:, :-1]
        place = np.arange(pixels + 1, dtype=np.int32)
        first = np.maximum.accumulate(np.where(new, place, 0), axis=1)[:, :-1]
        after = np.minimum.accumulate(np.where(new, place, pixels)[:, :0:-1], axis=1)[:, ::-1]
        ordered = first + after + np.int32(1)
        rank = np.empty_like(ordered)
        np.put_along_axis(rank, order, ordered, axis=1)
        return cls(rank, ordered, first)

    def against(self, masks: NDArray[np.bool_], top: float = TOP) -> RankScores:
        """Score each map against its mask.

        Args:
            masks: (n, H, W). With a single ranked map, every mask is held against that one.
            top: fraction of all pixels that `topk` looks at; at least one pixel is.

        Returns:
            Scores of each map, (n,) each, in [0, 1]; NaN for an empty mask.
        """
        n, pixels = len(masks), self.rank.shape[1]
        inside = np.flatnonzero(masks)  # few: the work below grows with the masks' areas only
        image, pixel = np.divmod(inside, pixels)
        single = len(self.rank) == 1
        rank = self.rank[0][pixel] if single else self.rank.reshape(-1)[inside]
        row = np.zeros(n, dtype=np.intp) if single else np.arange(n)
        size = np.bincount(image, minlength=n).astype(np.float64)
        full = np.where(size > 0, size, np.nan)

        def fraction(k: NDArray[np.float64]) -> NDArray[np.float64]:
            """Expected fraction inside the mask among the k highest pixels."""
            last = np.maximum(k, 1).astype(np.intp) - 1
            level, first = self.ordered[row, last], self.first[row, last]
            run = level - 1 - 2 * first  # ties with the k-th pixel, itself included
            above = np.bincount(image, rank < level[image], minlength=n)
            tied = np.bincount(image, rank == level[image], minlength=n)
            return (above + tied * (k - first) / run) / k * (full / full)

        rank_sum = np.bincount(image, rank, minlength=n) / 2
        outside = np.where(size < pixels, pixels - full, np.nan)
        return RankScores(
            pointing=fraction(np.ones(n)),
            auc=1 - (rank_sum - size * (size + 1) / 2) / (full * outside),
            rank_accuracy=fraction(np.maximum(size, 1)),
            topk=fraction(np.full(n, max(1.0, round(top * pixels)))),
        )
