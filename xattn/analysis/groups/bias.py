"""Does the model err differently where an artifact is, or on images of one group of patients?

For every artifact, each metric over the images with it minus the same over those without; for
every sex, age band, site and the like, over its images minus the same over all others.

    label ──> artifact      A gap in tpr or fpr is a dependence of the decision on the artifact
      │          ┆ tested   given the label (equalised odds, Hardt et al. 2016): the null of the
      └──> prediction       p-value, which permutes presence within each label.

Metrics that rest on fewer than ten images of a class, with or without the artifact, are not
given: a rate of two images is an anecdote. Of more than two classes a mean over classes is over
those with ten images on either side, so that a rare class does not cost the common ones theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.groups.auc_gap import delong_p
from xattn.analysis.groups.rates import Outcomes
from xattn.stats.adjust import enough_permutations, holm, two_sided_p
from xattn.stats.arrays import Floats, SampleWeights
from xattn.stats.codes import group_codes
from xattn.stats.columns import Column
from xattn.stats.drawn import Drawn
from xattn.stats.permutation import Permutations, within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, drawn_weights, percentile_interval

FEWEST_IMAGES = 10
"""A metric needs so many images of each class it is of, with and without the artifact."""

MEANS = ("balanced_accuracy", "auc")
"""Metrics that are means over classes where there are more than two."""

_BLOCK = 2**18


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two sets of images whose metrics are compared.

    Attributes:
        feature: its name; of a nominal feature with the category, "sex=female".
        kind: of the feature.
        category: of a nominal feature, else "".
        known: (n,) images of which the feature is known.
        present: (n,) images with the artifact, or of the category.
    """

    feature: str
    kind: str
    category: str
    known: NDArray[np.bool_]
    present: NDArray[np.bool_]


def contrasts(column: Column) -> list[Contrast]:
    """Return what is compared of one feature.

    Presence (a value above 0) against absence; of a nominal feature each category that occurs
    against all others, and of two the first alone, since the second says the same.

    Args:
        column: the feature, of n images.
    """
    if column.categories is None:
        present = column.known & (np.nan_to_num(column.values) > 0)
        return [Contrast(column.feature, column.kind, "", column.known, present)]
    found = [
        Contrast(f"{column.feature}={name}", column.kind, name, column.known, column.values == i)
        for i, name in enumerate(column.categories)
        if (column.values == i).any()
    ]
    return found[:1] if len(found) == 2 else found


def bias_table(
    columns: Sequence[Column],
    outcomes: Outcomes,
    groups: ArrayLike | None = None,
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return bias.csv: one row per artifact or category, and metric.

    gap = present - absent, with the 95 % percentile interval of a bootstrap over groups and a
    two-sided p-value from permuting presence within each label, groups kept together. Holm's
    adjustment runs over all artifacts, and over all other features, apart. Beyond the promised
    columns: kind; category; cases_present and cases_absent, the fewest images of a class that the
    metric rests on (where one is under ten, its side and the gap are NaN); of the rows `auc`,
    p_delong (see `auc_gap`), whose null is that the two areas are equal, no more; and classes,
    those that the metric is of, by semicolons, and empty where there are no numbers.

    Args:
        columns: present where the value is above 0, or nominal; images where it is unknown are
            left out.
        outcomes: of n images.
        groups: (n,).
        permutations: more are drawn if the size of the table asks for it.
        bootstrap: replicates for intervals.
        alpha: level that the adjusted p-values are meant for.
        seed: same seed, same table.

    Returns:
        bias.csv; metrics in [0, 1], gaps in [-1, 1].

    Source: equalised odds, Hardt, Price and Srebro 2016.
    """
    group = group_codes(groups, len(outcomes.truth))
    compared = [contrast for column in columns for contrast in contrasts(column)]
    families = pd.Series([contrast.kind == "artifact" for contrast in compared], dtype=bool)
    largest = int(families.value_counts().max()) if compared else 0
    draws = enough_permutations(permutations, largest * len(outcomes.metrics()), alpha)
    shared: dict[bytes, _Images] = {}
    rows: list[dict[str, Any]] = []
    for contrast in compared:
        place = contrast.known.tobytes()
        if place not in shared:
            shared[place] = _Images.of(contrast.known, outcomes, group, draws, bootstrap, seed)
        rows += _rows(contrast, shared[place])
    table = pd.DataFrame(rows)
    if rows:
        artifact = table["kind"] == "artifact"
        table["p_adjusted"] = np.nan
        for family in (artifact, ~artifact):
            table.loc[family, "p_adjusted"] = holm(table.loc[family, "p_value"])
    table.attrs["permutations"] = draws
    return table


@dataclass(frozen=True)
class _Images:
    """Images of which some features are known; these features share all draws."""

    rows: NDArray[np.intp]
    outcomes: Outcomes
    group: NDArray[np.intp]
    permutations: int
    bootstrap: int
    seed: int

    @classmethod
    def of(
        cls,
        known: NDArray[np.bool_],
        outcomes: Outcomes,
        group: NDArray[np.intp],
        permutations: int,
        bootstrap: int,
        seed: int,
    ) -> _Images:
        rows = np.flatnonzero(known)
        return cls(rows, outcomes.subset(rows), group[rows], permutations, bootstrap, seed)

    @cached_property
    def drawn(self) -> Permutations:
        return within_label_permutations(
            self.outcomes.within, self.group, self.permutations, self.seed
        )

    @cached_property
    def weights(self) -> Drawn[np.float32] | None:
        """Bootstrap weights (K, n); None if there are too few groups."""
        if len(np.unique(self.group)) < FEWEST_GROUPS or self.bootstrap < 1:
            return None
        return drawn_weights(self.group, len(self.group), self.bootstrap, self.seed)

    def interval(self, present: SampleWeights, means_over: list[int]) -> tuple[Floats, Floats]:
        if self.weights is None:
            nothing = np.full(len(self.outcomes.metrics()), np.nan)
            return nothing, nothing
        parts = (self.weights[some] for some in _cut(*self.weights.shape))
        return percentile_interval(
            _gaps(
                self.outcomes,
                ((part * present, part * (1 - present)) for part in parts),
                means_over,
            )
        )

    def p_values(self, present: SampleWeights, means_over: list[int]) -> Floats:
        kept = np.flatnonzero(self.drawn.kept)
        own, index = present[kept], self.drawn.of_kept()
        parts = (own[index[some]] for some in _cut(*index.shape))
        some = self.outcomes.subset(kept)
        return two_sided_p(_gaps(some, ((part, 1 - part) for part in parts), means_over))


def _rows(contrast: Contrast, images: _Images) -> list[dict[str, Any]]:
    some, present = images.outcomes, contrast.present[images.rows]
    sides = np.stack([present, ~present])
    cases = np.array([np.bincount(some.truth[s], minlength=len(some.classes)) for s in sides])
    over = means_over(some, cases)
    metrics = {name: over if name in MEANS else needs for name, needs in some.metrics().items()}
    fewest = np.stack([_cases(cases, name, needs) for name, needs in metrics.items()], axis=1)
    every = some.weighted(sides.astype(np.float32), over)
    values = np.where(fewest >= FEWEST_IMAGES, every, np.nan)
    gaps = values[0] - values[1]
    low, high, p, p_delong = (np.full(len(metrics), np.nan) for _ in range(4))
    given = ~np.isnan(gaps)
    if given.any():
        weight = present.astype(np.float32)
        low, high = images.interval(weight, over)
        p = images.p_values(weight, over)
        p_delong[list(metrics).index("auc")] = delong_p(some, present, images.group, over)
    return [
        {
            "feature": contrast.feature,
            "metric": metric,
            "n_present": int(present.sum()),
            "n_absent": int((~present).sum()),
            "present": values[0, i],
            "absent": values[1, i],
            "gap": gaps[i],
            "gap_low": low[i] if given[i] else np.nan,
            "gap_high": high[i] if given[i] else np.nan,
            "p_value": p[i] if given[i] else np.nan,
            "cases_present": int(fewest[0, i]),
            "cases_absent": int(fewest[1, i]),
            "p_delong": p_delong[i] if given[i] else np.nan,
            "kind": contrast.kind,
            "category": contrast.category or None,
            "classes": "; ".join(_classes_of(some, metric, needs)) if given[i] else None,
        }
        for i, (metric, needs) in enumerate(metrics.items())
    ]


def means_over(outcomes: Outcomes, cases: NDArray[np.intp]) -> list[int]:
    """Return the classes that means are over: those with enough images on either side.

    Both of two classes; none where fewer than two have enough, since a mean of one is its rate.
    How many images of a label lie on either side is the same under every permutation within
    labels, so the choice leaves p-values exact.

    Args:
        outcomes: of some images.
        cases: images of each class with and without the artifact, (2, classes).
    """
    if outcomes.binary:
        return outcomes.averaged
    enough = [i for i in outcomes.averaged if cases[:, i].min() >= FEWEST_IMAGES]
    return enough if len(enough) > 1 else []


def _classes_of(outcomes: Outcomes, metric: str, needs: list[int]) -> list[str]:
    """Name the classes that a metric is of: of a rate the one whose it is."""
    if metric in MEANS:
        return [outcomes.classes[i] for i in needs]
    if outcomes.binary:
        return [outcomes.classes[outcomes.positive]]
    return [metric.partition("[")[2].removesuffix("]")]


def _cases(cases: NDArray[np.intp], metric: str, needs: list[int]) -> NDArray[np.intp]:
    """Return the fewest images that a metric rests on, on either side: (2,).

    A false-positive rate needs images of any of its classes, the others of each.
    """
    if not needs:
        return np.zeros(2, dtype=np.intp)
    own = cases[:, needs]
    fewest: NDArray[np.intp] = own.sum(axis=1) if metric.startswith("fpr") else own.min(axis=1)
    return fewest


def _gaps(
    outcomes: Outcomes, blocks: Iterable[tuple[SampleWeights, SampleWeights]], over: list[int]
) -> Floats:
    """Return the gaps (K, metrics) of K weightings, given block by block.

    Args:
        outcomes: of n images.
        blocks: (weights of the images with the artifact, of those without), each (some, n).
        over: classes that means are over.
    """
    return np.concatenate(
        [outcomes.weighted(a, over) - outcomes.weighted(b, over) for a, b in blocks]
    )


def _cut(k: int, n: int) -> Iterator[slice]:
    """Cut K weightings of n images into blocks that fit the processor's cache."""
    size = max(1, _BLOCK // max(1, n))
    return (slice(start, start + size) for start in range(0, k, size))
