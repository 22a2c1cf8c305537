"""Which other features take a dependence away when they are held fixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xattn.analysis.dependence.given.sample import GivenSample

MOST_NAMED = 3
"""Features that are named; a dependence that takes more to explain is explained by all together."""
ALL_TOGETHER = "all others together"


def explained_by(sample: GivenSample, i: int, alpha: float) -> tuple[str, ...]:
    """Name the features whose conditioning leaves nothing of a dependence to be shown.

    Forward selection: the feature that leaves the smallest partial correlation is held fixed, then
    the next beside it, until the test given these and the label is no longer below alpha.

    Args:
        sample: the images.
        i: a feature that depends given the label alone, and does not given all others.
        alpha: level of the tests.

    Returns:
        Names, the first explaining most; `ALL_TOGETHER` if three do not suffice; none if nothing
        was to be explained, the dependence given the label being no longer seen in residuals.
    """
    blocks: dict[str, list[int]] = {}
    for k in sample.rest(i):
        blocks.setdefault(sample.tested[k].column.feature, []).append(k)
    chosen: list[str] = []
    held: list[int] = []
    if not _depends(sample, i, held, alpha):
        return ()
    while len(chosen) < MOST_NAMED and len(chosen) < len(blocks):
        rest = [name for name in blocks if name not in chosen]
        left = [_size(sample, i, [*held, *blocks[name]]) for name in rest]
        best = rest[int(np.argmin(left))]
        chosen.append(best)
        held += blocks[best]
        if not _depends(sample, i, held, alpha):
            return tuple(chosen)
    return (ALL_TOGETHER,)


def _depends(sample: GivenSample, i: int, held: Sequence[int], alpha: float) -> bool:
    found = sample.contributions(i, held, boosted=False)
    return found is not None and sample.p_value([found]) < alpha


def _size(sample: GivenSample, i: int, held: Sequence[int]) -> float:
    """Return the size of what is left: the largest of the studentised covariances."""
    found = sample.contributions(i, held, boosted=False)
    if found is None:
        return 0.0
    sums = found.plain
    scale = np.sqrt(np.square(sums).sum(axis=0))
    return float(np.max(np.abs(sums.sum(axis=0)) / np.where(scale > 0, scale, 1.0)))
