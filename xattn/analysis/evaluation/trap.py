"""Trap sets: how much of a model's loss on a reversed test set is due to artifacts?

    artifact ──> score <── lesion     amplified side: artifact and label go together, as in train
        ╲                  ╱          reversed side: they go against each other
         ╲── label ── ? ──╱

A model that leans on the artifact does worse on the reversed side. But images there may be harder
for other reasons. So beside each metric stands the same *among images alike in the artifact*,

- balanced accuracy: each class's recall with the artifact and without it, averaged with the same
  weights on both sides (direct standardisation);
- AUC: of images with the artifact among each other, and of those without, averaged with the same
  weights on both sides (covariate-adjusted AUC, Janes and Pepe 2009),

which an artifact that shifts the score cannot move. What the drop loses by that is `explained`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.groups.rates import Outcomes
from xattn.stats.arrays import Floats, SampleWeights
from xattn.stats.codes import group_codes
from xattn.stats.columns import Column
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

METRICS = ("balanced_accuracy", "auc")
ALL = "all"
"""In place of a feature: images alike in every feature."""
NOTHING = "nothing"
"""In place of a feature: as it is."""

FEWEST_ALIKE = 5
"""Images of each class that a stratum needs on either side; others are left out of its row."""

_BLOCK = 2**18


@dataclass(frozen=True)
class Side:
    """One of the two test sets.

    Attributes:
        outcomes: of n images.
        group: (n,) numbers from 0.
        columns: presence of each feature, over the n images.
    """

    outcomes: Outcomes
    group: NDArray[np.intp]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, outcomes: Outcomes, groups: ArrayLike | None, columns: Sequence[Column]) -> Side:
        """Read groups of any kind.

        Args:
            outcomes: of n images.
            groups: (n,) of any kind; None: every image stands alone.
            columns: presence of each feature.

        Returns:
            The side.
        """
        return cls(outcomes, group_codes(groups, len(outcomes.truth)), tuple(columns))


def trap_table(
    amplified: Side, reversed_: Side, *, bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return trap.csv: one row per correction and metric.

    `alike_in` is "nothing" (the metric as it is), a feature (among images alike in it), or "all"
    (alike in all features). `amplified` and `reversed` are the metric on either side, `drop` their
    difference, `explained` how much smaller the drop is than that of the same images without
    correction; NaN where only images with the artifact, or only those without, are left. All with
    95 % percentile intervals of a bootstrap over groups, each side on its own.
    `correlation_amplified` and `correlation_reversed` are the feature's with the positive class.

    Strata of fewer than five images of a class on either side are left out, `n_amplified` and
    `n_reversed` count what is left; without any there are no numbers.

    Args:
        amplified: not trained on, with the correlation of the training.
        reversed_: the trap. Shares no group with the other side.
        bootstrap: replicates.
        seed: same seed, same table.

    Returns:
        A row per correction and metric; metrics in [0, 1].

    Source: direct standardisation; AUC adjusted for covariates, Janes and Pepe, Biometrika 2009.
    """
    names = [column.feature for column in amplified.columns]
    sides = (amplified, reversed_)
    weights = [
        group_weights(side.group, len(side.group), bootstrap, _seed(seed, i))
        for i, side in enumerate(sides)
    ]
    enough = all(len(np.unique(side.group)) >= FEWEST_GROUPS for side in sides)
    rows = []
    for name in [NOTHING, *names, *([ALL] if len(names) > 1 else [])]:
        chosen = [i for i, own in enumerate(names) if name in (own, ALL)]
        strata = _shared_strata(sides, chosen)
        rows += list(_rows(name, sides, strata, chosen, weights if enough else None))
    return pd.DataFrame(rows)


def _shared_strata(
    sides: tuple[Side, Side], chosen: Sequence[int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the images alike in some features, -1 for those left out: one array a side."""
    codes = []
    for side in sides:
        code = np.zeros(len(side.group), dtype=np.intp)
        for i in chosen:
            values = side.columns[i].values
            code = np.where(np.isnan(values) | (code < 0), -1, 2 * code + (values > 0))
        codes.append(code)
    counts = []
    for side, code in zip(sides, codes, strict=True):
        table = np.zeros((2 ** len(chosen), len(side.outcomes.classes)), dtype=np.intp)
        np.add.at(table, (code[code >= 0], side.outcomes.truth[code >= 0]), 1)
        counts.append(table)
    good = (np.minimum(*counts) >= FEWEST_ALIKE).all(axis=1) if chosen else np.array([True])
    number = np.where(good, np.cumsum(good) - 1, -1)
    first, second = (np.where(code >= 0, number[code], -1) for code in codes)
    return first, second


def _rows(
    name: str,
    sides: tuple[Side, Side],
    strata: tuple[NDArray[np.intp], NDArray[np.intp]],
    chosen: Sequence[int],
    weights: Sequence[SampleWeights] | None,
) -> Iterator[dict[str, Any]]:
    kept = [np.flatnonzero(code >= 0) for code in strata]
    pooled = np.bincount(np.concatenate([c[k] for c, k in zip(strata, kept, strict=True)]))
    found = []
    for i, (side, rows, code) in enumerate(zip(sides, kept, strata, strict=True)):
        every = np.ones((1, len(rows)), dtype=np.float32)
        drawn = every if weights is None else np.concatenate([every, weights[i][:, rows]])
        found.append(_both(side.outcomes.subset(rows), code[rows], pooled, drawn))
    plain, alike = (found[0][j] - found[1][j] for j in (0, 1))
    explained = plain - alike
    related = [_correlation(side, chosen) for side in sides]
    for j, metric in enumerate(METRICS):
        row: dict[str, Any] = {
            "alike_in": name,
            "metric": metric,
            "n_amplified": len(kept[0]),
            "n_reversed": len(kept[1]),
            "correlation_amplified": related[0],
            "correlation_reversed": related[1],
        }
        quantities = {
            "amplified": found[0][1][:, j],
            "reversed": found[1][1][:, j],
            "drop": alike[:, j],
        }
        # A single stratum is either all images as they are, or those with the artifact (or those
        # without it) alone: nothing was corrected, and 0 would be no finding.
        corrected = len(pooled) > 1
        quantities["explained"] = explained[:, j] if corrected else np.full(len(alike), np.nan)
        for what, values in quantities.items():
            row |= _with_interval(what, values)
        yield row


def _both(
    outcomes: Outcomes, stratum: NDArray[np.intp], pooled: NDArray[np.intp], weights: SampleWeights
) -> tuple[Floats, Floats]:
    """Return balanced accuracy and AUC, as they are and among images alike: (K, 2) each."""
    if not len(stratum):
        nothing = np.full((len(weights), len(METRICS)), np.nan)
        return nothing, nothing
    names = list(outcomes.metrics())
    wanted = [names.index(metric) for metric in METRICS]
    plain = _weighted(outcomes, weights)[:, wanted]
    if len(pooled) == 1:
        return plain, plain
    alike = np.zeros_like(plain)
    for s, count in enumerate(pooled):
        inside = np.flatnonzero(stratum == s)
        own = _weighted(outcomes.subset(inside), weights[:, inside])[:, wanted]
        alike += own * (count / pooled.sum())
    return plain, alike


def _weighted(outcomes: Outcomes, weights: SampleWeights) -> Floats:
    """Return all metrics under each weighting, block by block."""
    size = max(1, _BLOCK // max(1, weights.shape[1]))
    parts = [outcomes.weighted(weights[k : k + size]) for k in range(0, len(weights), size)]
    return np.concatenate(parts)


def _with_interval(what: str, values: Floats) -> dict[str, float]:
    low, high = np.nan, np.nan
    if len(values) > 1:
        low, high = (float(end) for end in percentile_interval(values[1:]))
    return {what: float(values[0]), f"{what}_low": low, f"{what}_high": high}


def _correlation(side: Side, chosen: Sequence[int]) -> float:
    """Return the phi coefficient of a single feature with the positive one of two classes; with
    more classes Cramér's V, which has no sign."""
    if len(chosen) != 1:
        return float("nan")
    values = side.columns[chosen[0]].values
    known = ~np.isnan(values)
    present = values[known] > 0
    truth = side.outcomes.truth[known]
    if len(np.unique(present)) < 2 or len(np.unique(truth)) < 2:
        return float("nan")
    if not side.outcomes.binary:
        from scipy.stats.contingency import association

        return float(association(pd.crosstab(present, truth).to_numpy(), method="cramer"))
    return float(np.corrcoef(present, truth == side.outcomes.positive)[0, 1])


def _seed(seed: int, side: int) -> int:
    """Make a seed a side, the same every time."""
    return int(np.random.SeedSequence([seed, side]).generate_state(1)[0])
