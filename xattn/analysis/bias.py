"""Does the model err differently where an artifact is in the picture?

For every artifact, each metric over the images with it minus the same over those without.

    label ──> artifact      A gap in tpr or fpr is a dependence of the decision on the artifact
      │          ┆ tested   given the label (equalised odds, Hardt et al. 2016): the null of the
      └──> prediction       p-value, which permutes presence within each label.

Metrics that rest on fewer than ten images of a class, with or without the artifact, are not
given: a rate of two images is an anecdote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.adjust import enough_permutations, holm, two_sided_p
from xattn.analysis.codes import group_codes
from xattn.analysis.columns import Column
from xattn.analysis.permutation import within_label_permutations
from xattn.analysis.rates import Outcomes, Weights
from xattn.analysis.resampling import FEWEST_GROUPS, group_weights, percentile_interval

FEWEST_IMAGES = 10
"""A metric needs so many images of each class it speaks of, with and without the artifact."""

_BLOCK = 2**18

Array = NDArray[np.float64]


def bias_table(
    artifacts: Sequence[Column],
    outcomes: Outcomes,
    groups: ArrayLike | None = None,
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return bias.csv: one row per artifact and metric.

    gap = present - absent, with the 95 % percentile interval of a bootstrap over groups and a
    two-sided p-value from permuting presence within each label, groups kept together. Holm's
    adjustment runs over the table. Beyond the promised columns: cases_present and cases_absent,
    the fewest images of a class that the metric rests on; where one is under ten, its side and
    the gap are NaN.

    Args:
        artifacts: present where the value is above 0; images where it is unknown are left out.
        outcomes: of n images.
        groups: (n,).
        permutations: more are drawn if the size of the table asks for it.
        bootstrap: replicates for intervals.
        alpha: level that the adjusted p-values are meant for.
        seed: same seed, same table.
    """
    group = group_codes(groups, len(outcomes.truth))
    draws = enough_permutations(permutations, len(artifacts) * len(outcomes.metrics()), alpha)
    rows = [
        row
        for artifact in artifacts
        for row in _rows(artifact, outcomes, group, draws, bootstrap, seed)
    ]
    table = pd.DataFrame(rows)
    if rows:
        table["p_adjusted"] = holm(table["p_value"])
    table.attrs["permutations"] = draws
    return table


def _rows(
    artifact: Column,
    outcomes: Outcomes,
    group: NDArray[np.intp],
    permutations: int,
    bootstrap: int,
    seed: int,
) -> list[dict[str, Any]]:
    known = np.flatnonzero(artifact.known)
    some, group = outcomes.subset(known), group[known]
    present = artifact.values[known] > 0
    sides = np.stack([present, ~present])
    cases = np.array([np.bincount(some.truth[s], minlength=len(some.classes)) for s in sides])
    values = some.weighted(sides.astype(np.float32))
    weight = present.astype(np.float32)
    low, high = _interval(some, weight, group, bootstrap, seed)
    p = _p_values(some, weight, group, permutations, seed)
    rows = []
    for i, (metric, needs) in enumerate(some.metrics().items()):
        fewest = cases[:, needs].min(axis=1) if _separate(metric) else cases[:, needs].sum(axis=1)
        side = np.where(fewest >= FEWEST_IMAGES, values[:, i], np.nan)
        gap = side[0] - side[1]
        given = not np.isnan(gap)
        rows.append(
            {
                "feature": artifact.feature,
                "metric": metric,
                "n_present": int(present.sum()),
                "n_absent": int((~present).sum()),
                "present": side[0],
                "absent": side[1],
                "gap": gap,
                "gap_low": low[i] if given else np.nan,
                "gap_high": high[i] if given else np.nan,
                "p_value": p[i] if given else np.nan,
                "cases_present": int(fewest[0]),
                "cases_absent": int(fewest[1]),
            }
        )
    return rows


def _separate(metric: str) -> bool:
    """Say whether a metric needs images of each of its classes, or of any of them."""
    return not metric.startswith("fpr")


def _gaps(outcomes: Outcomes, blocks: Iterable[tuple[Weights, Weights]]) -> Array:
    """Return the gaps (K, metrics) of K weightings, given block by block.

    Args:
        outcomes: of n images.
        blocks: (weights of the images with the artifact, of those without), each (some, n).
    """
    return np.concatenate([outcomes.weighted(a) - outcomes.weighted(b) for a, b in blocks])


def _cut(k: int, n: int) -> Iterator[slice]:
    """Cut K weightings of n images into blocks that fit the processor's cache."""
    size = max(1, _BLOCK // max(1, n))
    return (slice(start, start + size) for start in range(0, k, size))


def _interval(
    outcomes: Outcomes, present: Weights, group: NDArray[np.intp], bootstrap: int, seed: int
) -> tuple[Array, Array]:
    if len(np.unique(group)) < FEWEST_GROUPS or bootstrap < 1:
        nothing = np.full(len(outcomes.metrics()), np.nan)
        return nothing, nothing
    drawn = group_weights(group, len(group), bootstrap, seed)
    parts = (drawn[some] for some in _cut(*drawn.shape))
    return percentile_interval(
        _gaps(outcomes, ((part * present, part * (1 - present)) for part in parts))
    )


def _p_values(
    outcomes: Outcomes, present: Weights, group: NDArray[np.intp], permutations: int, seed: int
) -> Array:
    drawn = within_label_permutations(outcomes.truth, group, permutations, seed)
    kept, own, index = np.flatnonzero(drawn.kept), present[drawn.kept], drawn.of_kept()
    parts = (own[index[some]] for some in _cut(*index.shape))
    return two_sided_p(_gaps(outcomes.subset(kept), ((part, 1 - part) for part in parts)))
