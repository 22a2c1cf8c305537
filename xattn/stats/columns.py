"""One measured quantity over images, in the form the statistics want it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.stats.codes import codes


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one feature.

    Attributes:
        feature: its name.
        kind: structure, artifact, metadata, computed or control.
        aspect: what of it was measured: presence, area, count or value.
        values: float64 (n,), or (n, d) for a feature of several numbers; NaN where unknown. For a
            nominal feature the number of its category.
        categories: names of the categories of a nominal feature, else None.
    """

    feature: str
    kind: str
    aspect: str
    values: NDArray[np.float64]
    categories: tuple[str, ...] | None = None

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Where the value is known, (n,)."""
        missing = np.isnan(self.values.reshape(len(self.values), -1))
        return np.asarray(~missing.any(axis=1))

    def of(self, rows: NDArray[np.intp]) -> Column:
        """Return some of the images.

        Args:
            rows: (k,) which.
        """
        return replace(self, values=self.values[rows])

    @property
    def nominal(self) -> bool:
        """Whether the values are names, without an order."""
        return self.categories is not None


def as_column(
    values: ArrayLike, feature: str = "", kind: str = "metadata", aspect: str | None = None
) -> Column:
    """Read values of any kind: numbers, booleans, names (which become nominal), or (n, d) numbers.

    Missing values (None, NaN, NA) stay missing; infinities count as missing. The aspect, if not
    given, is presence for yes/no values and else value.

    Args:
        values: (n,) of any kind, or (n, d) numbers.
        feature: its name.
        kind: structure, artifact, metadata, computed or control.
        aspect: what of it was measured.

    Returns:
        The column, values as float64.
    """
    if isinstance(values, pd.DataFrame) or np.ndim(values) == 2:
        several = np.asarray(values, dtype=np.float64)
        several = np.where(np.isfinite(several), several, np.nan)
        return Column(feature, kind, aspect or "value", several)
    series = pd.Series(values)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    categories = None
    try:
        numbers = pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        found, names = codes(series.map(str, na_action="ignore"))
        numbers, categories = np.where(found < 0, np.nan, found), tuple(str(n) for n in names)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    if aspect is None:
        yes_no = categories is None and set(np.unique(numbers[~np.isnan(numbers)])) <= {0.0, 1.0}
        aspect = "presence" if yes_no else "value"
    return Column(feature, kind, aspect, numbers, categories)
