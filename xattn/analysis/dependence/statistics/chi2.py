"""Pearson's chi-square of counts."""

from __future__ import annotations

import numpy as np

from xattn.analysis.dependence.registry import statistic
from xattn.stats.arrays import Floats

_QUARTERS = 4


@statistic("chi2", per_label=True)
def quarter_embedding(u: Floats) -> Floats:
    """Pearson's chi-square of counts: numbers and scores cut into quarters, categories as kept.

    The sum over labels of each label's chi-square; with a yes/no feature, of its 2 x 4 tables.
    """
    quarter = np.minimum((u * _QUARTERS).astype(np.intp), _QUARTERS - 1)
    counts = np.bincount(quarter, minlength=_QUARTERS)
    columns: Floats = np.eye(_QUARTERS)[quarter] / np.sqrt(np.maximum(counts, 1))
    return columns
