"""Random Fourier features, as RCIT uses."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from xattn.analysis.dependence.registry import statistic
from xattn.stats.arrays import Floats

_FOURIER = 5


@statistic("random-feature", per_label=True)
def fourier_embedding(u: Floats) -> Floats:
    """Five random Fourier features of normal scores, as RCIT uses (Strobl et al. 2019).

    The same five for everybody, so that a p-value depends on nothing but data and seed.
    """
    rng = np.random.default_rng(5)
    turns = rng.normal(size=_FOURIER) / 0.954  # the median distance of two normal scores
    columns: Floats = np.cos(ndtri(u)[:, None] * turns + rng.uniform(0, 2 * np.pi, _FOURIER))
    return columns
