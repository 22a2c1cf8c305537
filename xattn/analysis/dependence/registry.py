"""Statistics of conditional dependence by name.

To add one, write an embedding in a file of the package `statistics`:

    @statistic("my-name", per_label=True)
    def my_embedding(u):
        '''Columns (n, K) for within-label ranks u (n,) in (0, 1).'''

It becomes a sum of squared cross products, see `cross_products`. One of another form is an object
that is added to `STATISTICS`, see `Statistic` and `statistics/nearest_neighbour.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.dependence.cross_products import CrossProducts, Embedding
from xattn.registry import Registry, meaning_of
from xattn.stats.arrays import Floats
from xattn.stats.columns import Column


class Statistic(Protocol):
    """One way to measure dependence within labels."""

    @property
    def name(self) -> str:
        """What users call it."""

    @property
    def meaning(self) -> str:
        """What it finds, in one line."""

    def permuted(
        self,
        columns: Sequence[Column],
        rows: NDArray[np.intp],
        prediction: Floats,
        label: NDArray[np.intp],
        index: NDArray[np.int32],
    ) -> Floats:
        """Return the statistic of each feature under each permutation: (P, features).

        Args:
            columns: the features.
            rows: (n,) which of their values.
            prediction: (n, q) scores of these rows.
            label: (n,) numbers, ascending.
            index: (P, n) rows of the prediction that take the places of rows 0 to n - 1.

        In [0, 1], large where dependent; NaN for what never varies within a label.
        """


STATISTICS: Registry[Statistic] = Registry(
    "statistic",
    package="xattn.analysis.dependence.statistics",
    first=("rank", "dcor", "hsic", "chi2", "random_feature", "nearest_neighbour"),
)


def statistic(name: str, *, per_label: bool, meaning: str = "") -> Callable[[Embedding], Embedding]:
    """Register an embedding as a statistic; see `CrossProducts` for the arguments."""
    return STATISTICS.register(
        name, lambda embed: CrossProducts(name, meaning_of(embed, meaning), embed, per_label)
    )
