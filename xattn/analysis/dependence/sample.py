"""The images on which some features are tested, and every number that comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.effects import (
    main_direction,
    rank_effect,
    rank_effect_error,
    ranked,
)
from xattn.analysis.dependence.information import (
    conditional_information,
    feature_bins,
    quantile_bins,
)
from xattn.analysis.dependence.ranks import ranks_within
from xattn.analysis.dependence.registry import Statistic
from xattn.analysis.dependence.variance import explained_variance
from xattn.stats.arrays import Floats
from xattn.stats.columns import Column
from xattn.stats.drawn import Drawn
from xattn.stats.permutation import Stratum, within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, drawn_weights

_EXCESS_PERMUTATIONS = 200
_FIRST_LOOK = 64


@dataclass(frozen=True)
class UsageSample:
    """Images with a label, a prediction and a value of every feature, sorted by label.

    Attributes:
        rows: (n,) their numbers in the whole table.
        prediction: (n, q).
        label, group: (n,) numbers.
        index: (1 + P, n) permutations, the identity first, drawn a block at a time.
        dropped: strata that could not be permuted; their images are not among the rows.
        smallest_p: the least p-value the permutations can give.
    """

    rows: NDArray[np.intp]
    prediction: Floats
    label: NDArray[np.intp]
    group: NDArray[np.intp]
    index: Drawn[np.int32]
    dropped: tuple[Stratum, ...]
    smallest_p: float

    @classmethod
    def of(
        cls,
        rows: NDArray[np.intp],
        prediction: Floats,
        label: NDArray[np.intp],
        names: NDArray[Any],
        group: NDArray[np.intp],
        permutations: int,
        seed: int,
    ) -> UsageSample:
        """Draw permutations of some rows of a table, and keep what they can move.

        Args:
            rows: (k,) of the table.
            prediction: (N, q) scores of all rows.
            label: (N,) numbers.
            names: of the labels.
            group: (N,) numbers.
            permutations: how many to draw.
            seed: same seed, same permutations.

        Returns:
            The rows that can be permuted, sorted by label.
        """
        rows = rows[np.argsort(label[rows], kind="stable")]
        drawn = within_label_permutations(names[label[rows]], group[rows], permutations, seed)
        kept = rows[drawn.kept]
        return cls(
            kept,
            prediction[kept],
            label[kept],
            group[kept],
            drawn.of_kept(),
            drawn.dropped,
            drawn.smallest_p,
        )

    @cached_property
    def groups(self) -> int:
        """Number of groups."""
        return len(np.unique(self.group))

    def permuted(
        self, measures: Sequence[Statistic], columns: Sequence[Column]
    ) -> NDArray[np.float64]:
        """Return statistics, observed and permuted: (1 + P, features, measures).

        Args:
            measures: statistics.
            columns: features known for all these images.
        """
        return self.index.map(
            lambda some: np.stack([self._values(m, columns, some) for m in measures], axis=2)
        )

    def sequential(
        self, measure: Statistic, columns: Sequence[Column], enough: int
    ) -> tuple[Floats, Floats]:
        """Return statistics and p-values (features,), drawing no more than is needed to tell.

        A feature is done when `enough` permutations have reached its statistic; then
        p = enough / permutations drawn, else (1 + reached) / (1 + all). As exact as drawing all
        (Besag and Clifford 1991, Biometrika 78, section 3).

        Args:
            measure: a statistic.
            columns: features known for all these images.
            enough: permutations that must reach the statistic.
        """
        seen = self._values(measure, columns, self.index[:1])[0]
        reached = np.zeros(len(columns), dtype=np.intp)
        p = np.full(len(columns), np.nan)
        going = np.flatnonzero(~np.isnan(seen))
        start, step = 1, _FIRST_LOOK
        while start < len(self.index) and len(going):
            some = self.index[start : start + step]
            values = self._values(measure, [columns[int(i)] for i in going], some)
            hits = reached[going] + np.cumsum(values >= seen[going] * (1 - 1e-9), axis=0)
            stopped = hits[-1] >= enough
            at = (hits >= enough).argmax(axis=0)
            p[going[stopped]] = enough / (start + at[stopped])
            reached[going] = hits[-1]
            going = going[~stopped]
            start, step = start + len(some), 2 * step
        p[going] = (1 + reached[going]) / len(self.index)
        return seen, p

    def effects(self, columns: Sequence[Column], bootstrap: int, seed: int) -> list[dict[str, Any]]:
        """Return the effect sizes of each feature: bits, fraction of variance, rank effect.

        Args:
            columns: features known for all these images.
            bootstrap: replicates for intervals; 0 for none.
            seed: same seed, same intervals.
        """
        weights = None
        if self.groups >= FEWEST_GROUPS and bootstrap > 0:
            weights = drawn_weights(self.group, len(self.rows), bootstrap, seed)
        bins = [feature_bins(c, self.rows, self.label) for c in columns]
        main = main_direction(self.prediction, self.label)
        few = self.index[1 : 1 + _EXCESS_PERMUTATIONS]
        bits = conditional_information(
            bins, quantile_bins(main, self.label), self.label, few, weights
        )
        target = ranked(self.prediction, self.label)
        explained = explained_variance(bins, ranks_within(main, self.label), self.label, weights)
        return [
            {
                "effect_bits": float(bits.bits[i]),
                "effect_low": float(bits.low[i]),
                "effect_high": float(bits.high[i]),
                "rank_effect": rank_effect(column, self.rows, target, self.label),
                "rank_effect_error": rank_effect_error(column, self.rows, self.label, self.groups),
                "variance_share": float(explained.fraction[i]),
                "variance_low": float(explained.low[i]),
                "variance_high": float(explained.high[i]),
            }
            for i, column in enumerate(columns)
        ]

    def _values(
        self, measure: Statistic, columns: Sequence[Column], index: NDArray[np.int32]
    ) -> Floats:
        return measure.permuted(columns, self.rows, self.prediction, self.label, index)
