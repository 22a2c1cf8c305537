"""Monotone effects: the ranks themselves."""

from __future__ import annotations

from xattn.analysis.dependence.cross_products import Array
from xattn.analysis.dependence.registry import statistic


@statistic("rank", per_label=False)
def rank_embedding(u: Array) -> Array:
    """The ranks themselves: monotone effects; for yes/no features van Elteren's test."""
    return u[:, None]
