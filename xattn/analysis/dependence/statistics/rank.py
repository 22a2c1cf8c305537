"""Monotone effects: the ranks themselves."""

from __future__ import annotations

from xattn.analysis.dependence.registry import statistic
from xattn.stats.arrays import Floats


@statistic("rank", per_label=False)
def rank_embedding(u: Floats) -> Floats:
    """The ranks themselves: monotone effects; for yes/no features van Elteren's test."""
    return u[:, None]
