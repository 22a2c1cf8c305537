"""Do the maps fall on the structures, and more so than on other images' structures?

For every method, feature with masks, and label, over the images that show the feature.

    label ──> where such structures usually lie ──────> mask
      │                                                  ┆  tested: does an image's map know
      └─────> where such images are usually looked at ─> map   where its own mask lies?

Both maps and structures prefer the centre, so a lift above 1 alone says little. The chance level
is what the same maps reach on the masks of other images of the same label: it holds the centre
bias, the size of the structures, and whatever else is common to a label. A fixed centred
Gaussian (method `centre-prior`) stands in the table as a control: its lift is what mere centring
earns, and its p-value is 1 by construction, since it treats all images alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.alignment.mask_scores import (
    CENTRE_PRIOR,
    SCORES,
    MaskScores,
    ScoredMethod,
    masks_on_parts,
)
from xattn.analysis.alignment.pairs import paired_sums
from xattn.features.feature_set import FeatureSet
from xattn.features.masks import Progress
from xattn.images import Cells
from xattn.stats.adjust import enough_permutations, holm, two_sided_p
from xattn.stats.arrays import Floats
from xattn.stats.codes import group_codes, positions
from xattn.stats.drawn import Drawn
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, drawn_weights, percentile_interval

ALL_LABELS = "all"
"""Label of the rows over all images."""

TOO_COARSE = 1.0
"""A map cannot show what covers fewer of its cells in the median."""


@dataclass(frozen=True)
class Chance:
    """The same maps against other images' masks, for each label and for all together (last).

    Attributes:
        p_value: two-sided; NaN where no two images could be exchanged.
        lift: mean over permutations.
        lift_tested: of the maps on their own masks, over the images that could be exchanged.
        n: number of these images.
    """

    p_value: Floats
    lift: Floats
    lift_tested: Floats
    n: NDArray[np.intp]


def alignment_table(
    scored: list[ScoredMethod],
    features: FeatureSet,
    classes: list[str],
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return alignment.csv: one row per method, feature and label (each class, and "all").

    lift is the ratio of the mean mass to the mean area, so every row satisfies lift = mass / area
    and a tiny mask cannot dominate. Its interval is the 95 % percentile interval of a bootstrap
    over groups. The test statistic is the mean mass, whose permutations leave the areas as they
    are; the p-value is two-sided, because a map that keeps off a structure is a finding too, and
    `lift_over_chance` says which way. Holm's adjustment runs over all rows but the control's.

    mask_cells is the median area of the masks, in cells of the method's map where these lie
    (`Cells.in_view`); below `TOO_COARSE` the map has no room for what the row is about.

    Beyond the promised columns: groups, degenerate (images left out because their map is constant,
    not finite or nowhere positive), n_tested (images that could be exchanged), chance_lift,
    lift_over_chance (of the images tested), lift_in_lesion (lift with the lesion as the whole
    image: (mass in both / mass in lesion) / (area of both / area of lesion)), mask_cells,
    too_coarse.

    Args:
        scored: from `score_masks`.
        features: labels and groups; images without a label are left out where any has one.
        classes: names of the labels, in the order of the rows.
        permutations: more are drawn if the size of the table asks for it.
        bootstrap: replicates.
        alpha: level that the adjusted p-values are meant for.
        seed: same seed, same table.
    """
    labels = [c for c in classes if (features.table["label"] == c).any()]
    tested = sum(len(m.features) for m in scored if m.name != CENTRE_PRIOR) * (len(labels) + 1)
    draws = enough_permutations(permutations, tested, alpha)
    rows: list[dict[str, Any]] = []
    names = [f for f in features.masked if any(f in m.features for m in scored)]
    for done, feature in enumerate(names, start=1):
        chances = _Draws(draws, bootstrap, seed)
        masks: dict[tuple[Cells, bytes], Floats] = {}  # methods of one layer share them
        for method in scored:
            subset = _Subset.of(method, feature, features, labels)
            rows_shown = method.features[feature].rows
            key = method.cells, rows_shown.tobytes()
            if key not in masks:
                masks[key] = masks_on_parts(features, feature, rows_shown, method.cells)
            chance = subset.chance(method, masks[key], chances)
            for i, label in enumerate([*labels, ALL_LABELS]):
                row = {"method": method.name, "feature": feature, "kind": features.kinds[feature]}
                row |= {"label": label} | subset.summary(i, chances)
                row |= _against_chance(chance, i)
                row |= subset.coverage(i, method.in_view)
                rows.append(row)
        if progress is not None:
            progress(done, len(names))
    table = _adjusted(pd.DataFrame(rows), [m.name for m in scored])
    table.attrs["permutations"] = draws
    return table


@dataclass(frozen=True)
class _Draws:
    """Permutations and bootstrap weights, drawn once for all methods that share the images."""

    permutations: int
    replicates: int
    seed: int
    _known: dict[tuple[bytes, bytes], Any] = field(default_factory=dict)

    def permuted(
        self, label: NDArray[np.intp], group: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], Drawn[np.int32]]:
        """Return which rows can be exchanged, and their permutations, the identity first."""
        key = (label.tobytes(), group.tobytes())
        if key not in self._known:
            drawn = within_label_permutations(label, group, self.permutations, self.seed)
            self._known[key] = (drawn.kept, drawn.of_kept())
        kept, index = self._known[key]
        return kept, index

    def weights(self, group: NDArray[np.intp]) -> Drawn[np.float32]:
        """Return bootstrap weights (replicates, n)."""
        key = (b"weights", group.tobytes())
        if key not in self._known:
            self._known[key] = drawn_weights(group, len(group), self.replicates, self.seed)
        weights: Drawn[np.float32] = self._known[key]
        return weights


@dataclass(frozen=True)
class _Subset:
    """The images that show one feature, with scorable maps of one method and a known label.

    `label` counts in the order of the table's rows; with no labels at all it is 0 throughout.
    """

    one: MaskScores
    use: NDArray[np.intp]
    label: NDArray[np.intp]
    group: NDArray[np.intp]
    n_labels: int
    degenerate: NDArray[np.intp]

    @classmethod
    def of(
        cls, method: ScoredMethod, feature: str, features: FeatureSet, labels: list[str]
    ) -> _Subset:
        one = method.features[feature]
        label = features.table["label"].iloc[one.rows]
        number = positions(label, labels)
        if not labels:
            number = np.zeros_like(number)
        known = number >= 0
        use = np.flatnonzero(known & ~one.degenerate)
        group = group_codes(features.table["group"], len(features.table))[one.rows]
        bad = np.bincount(number[known & one.degenerate], minlength=max(1, len(labels)))
        totals = np.array([*bad[: len(labels)], bad.sum()], dtype=np.intp)
        return cls(one, use, number[use], group[use], len(labels), totals)

    def rows_of(self, label: int) -> NDArray[np.intp]:
        """Return the images of one label, or of all (the last number)."""
        return self.use if label == self.n_labels else self.use[self.label == label]

    def coverage(self, label: int, in_view: float) -> dict[str, Any]:
        """Say how many cells of a map the masks of a label cover, and whether these are too few."""
        areas = self.one.score("area")[self.rows_of(label)]
        cells = float(np.median(areas)) * in_view if len(areas) else np.nan
        return {"mask_cells": cells, "too_coarse": bool(cells < TOO_COARSE)}

    def summary(self, label: int, draws: _Draws) -> dict[str, Any]:
        """Return the mean scores over the images of one label, or of all (the last number)."""
        mine = self.rows_of(label)
        group = self.group if label == self.n_labels else self.group[self.label == label]
        table = self.one.scores[mine]
        means = dict(zip(SCORES, _nan_mean(table), strict=True))
        n_groups = len(np.unique(group))
        low = high = np.nan
        if n_groups >= FEWEST_GROUPS:
            mass, area = draws.weights(group).map(lambda some: some @ table[:, :2]).T
            low, high = (float(v) for v in percentile_interval(mass / area))
        return {
            "n": len(mine),
            **means,
            "lift": means["mass"] / means["area"],
            "lift_low": low,
            "lift_high": high,
            "groups": n_groups,
            "degenerate": int(self.degenerate[label]),
            "lift_in_lesion": _lift_in_lesion(self.one.lesion[mine]),
        }

    def chance(self, method: ScoredMethod, masks: Floats, draws: _Draws) -> Chance:
        """Hold the maps against the masks of other images of their label.

        Args:
            method: the maps.
            masks: of the images that show the feature, see `masks_on_parts`.
            draws: what is drawn.
        """
        exchangeable, index = draws.permuted(self.label, self.group)
        kept = self.use[exchangeable]
        label = self.label[exchangeable]
        sums = paired_sums(
            method.positive_of(self.one.rows[kept]),
            masks[kept],
            index,
            label,
            self.n_labels,
        )
        area = self._by_label(label, self.one.score("area")[kept])
        with np.errstate(invalid="ignore", divide="ignore"):
            lift = sums / np.where(area > 0, area, np.nan)
        p = np.where(area > 0, two_sided_p(sums), np.nan)
        counts = self._by_label(label, np.ones(len(kept))).astype(np.intp)
        return Chance(p, lift[1:].mean(axis=0), lift[0], counts)

    def _by_label(self, label: NDArray[np.intp], values: Floats) -> Floats:
        """Return sums per label, and over all in the last place."""
        sums = np.bincount(label, values, minlength=self.n_labels)[: self.n_labels]
        return np.append(sums, values.sum())


def _against_chance(chance: Chance, label: int) -> dict[str, Any]:
    expected = chance.lift[label]
    return {
        "p_value": chance.p_value[label],
        "n_tested": int(chance.n[label]),
        "chance_lift": expected,
        "lift_over_chance": chance.lift_tested[label] / expected if expected > 0 else np.nan,
    }


def _nan_mean(values: Floats) -> list[float]:
    """Return the mean of each column over what is not NaN; NaN for a column of none."""
    counted = ~np.isnan(values)
    n = counted.sum(axis=0)
    sums = np.where(counted, values, 0).sum(axis=0)
    return [float(s / c) if c else np.nan for s, c in zip(sums, n, strict=True)]


def _lift_in_lesion(lesion: Floats) -> float:
    mass, area, mass_all, area_all = lesion[~np.isnan(lesion).any(axis=1)].sum(axis=0)
    if not (area > 0 and mass_all > 0):
        return np.nan
    return float((mass / mass_all) / (area / area_all))


def _adjusted(table: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    if table.empty:
        return table
    control = table["method"] == CENTRE_PRIOR
    table["p_adjusted"] = holm(table["p_value"].where(~control))
    table.loc[control, "p_adjusted"] = table.loc[control, "p_value"]
    order = table["method"].map({name: i for i, name in enumerate(methods)})
    return table.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)
