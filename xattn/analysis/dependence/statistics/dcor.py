"""Any effect, smooth ones best: distance correlation."""

from __future__ import annotations

import numpy as np

from xattn.analysis.dependence.registry import statistic
from xattn.stats.arrays import Floats

_TERMS = 6


@statistic("dcor", per_label=True)
def distance_embedding(u: Floats) -> Floats:
    """Distance correlation of the ranks (Székely et al. 2007): any effect, smooth ones best.

    On ranks, the distance |u - v| centred is -4 sum_k cos(pi k u) cos(pi k v) / (pi k)^2: the
    first six terms hold 99.9 % of its squared norm, and replace an n x n matrix by n x 6.
    """
    k = np.pi * np.arange(1, _TERMS + 1)
    columns: Floats = np.sqrt(2) * np.cos(u[:, None] * k) / k
    return columns
