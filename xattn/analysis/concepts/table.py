"""Which yes/no features a network holds at its explained layer, and which of them move its score.

    label ──> feature ──> activations ──> score
                 encoded: do the activations tell images with it from those without?
                                  used: does the score rise or fall where they do?

Both within labels, both against random concepts: the same number of images of every label, whole
groups exchanged at random. The first is a chance level that no property of the label can pass;
the second too, since a vector that is nothing but noise lies along what varies anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from xattn.analysis.concepts.pooled import ClassScore, PooledLayer
from xattn.analysis.concepts.vectors import (
    FOLDS,
    Bools,
    Codes,
    concept_vectors,
    folds_of,
    projected,
    pushes,
    sensitivity,
    sensitivity_interval,
    separability,
    separability_interval,
)
from xattn.analysis.dependence.table import negative_controls
from xattn.analysis.question import Question
from xattn.features.computed.collect import DETECTED
from xattn.features.feature_set import LESION, FeatureSet
from xattn.runs.tables.concepts import CONCEPTS, ENCODED_ONLY, NEITHER, NOT_TESTED, USED, USED_ONLY
from xattn.stats.adjust import upper_p, westfall_young
from xattn.stats.arrays import Floats
from xattn.stats.codes import codes, group_codes
from xattn.stats.columns import Column, as_column
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import FEWEST_GROUPS, group_weights

FEWEST = 10
"""Images with and without a feature below which it is not tested."""
SIGNS = 200
"""Random concepts whose signs are counted."""
_AT_ONCE = 100


@dataclass(frozen=True, eq=False)
class _Sample:
    """The images of which label and feature are known, and which can be exchanged."""

    layer: PooledLayer
    rows: Codes
    presence: Bools
    label: Codes
    group: Codes
    fold: Codes
    permuted: Bools

    @property
    def cell(self) -> Codes:
        return self.label * FOLDS + self.fold


@dataclass(frozen=True)
class _Tested:
    """A row, and what random concepts gave instead: (1 + P,) each, large where it is extreme."""

    row: dict[str, Any]
    encoded: Floats | None = None
    used: Floats | None = None


def yes_no_columns(features: FeatureSet, seed: int) -> list[Column]:
    """Return what is there or not: features of 0 and 1, of two names, and detected ones.

    A detector's score counts as yes from one half on. The last column is one that no network can
    know, and whose frequency follows the label.

    Args:
        features: of a run.
        seed: of the control.
    """
    found = []
    for name, kind in features.kinds.items():
        column = as_column(features.table[name], name, kind)
        values = column.values
        if name == LESION or values.ndim > 1:
            continue
        if name.endswith(DETECTED):
            values = np.where(np.isnan(values), np.nan, values >= 0.5)
        elif column.categories is not None:
            if len(column.categories) != 2:
                continue
            name = f"{name} = {column.categories[1]}"
        elif column.aspect != "presence":
            continue
        found.append(Column(name, kind, "presence", values))
    return [*found, negative_controls(features.table["label"], seed)[-1]]


def concept_table(
    layer: PooledLayer,
    columns: Sequence[Column],
    labels: pd.Series[Any],
    groups: pd.Series[Any],
    question: Question,
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return concepts.csv: one row per yes/no feature and class whose score is asked about.

    Args:
        layer: activations and gradients of the run.
        columns: features of every image of the run, see `yes_no_columns`.
        labels, groups: of every image of the run; images without a label are left out.
        question: what the run is asked.
        permutations: random concepts behind each p-value.
        bootstrap: replicates.
        alpha: level of `encoded` and `used`, after adjustment over all features.
        seed: same seed, same table.
    """
    scores = layer.scores_of(question)
    tested: list[_Tested] = []
    draws: dict[bytes, Any] = {}
    for column in columns:
        facts = {"feature": column.feature, "kind": column.kind, "layer": layer.name}
        sample, note = _sample(layer, column, labels, groups, permutations, seed, draws)
        if sample is None:
            tested += [_Tested({**facts, "class": s.name, "note": note}) for s in scores]
            continue
        tested += _test(sample, facts, scores, bootstrap, seed)
    table = pd.DataFrame([one.row for one in tested])
    table = table.reindex(columns=list(dict.fromkeys([*CONCEPTS.always, *table.columns])))
    for name in ("encoded", "used"):
        adjusted = _together([getattr(one, name) for one in tested], permutations)
        table[f"p_{name}_adjusted"] = adjusted
        table[name] = adjusted < alpha
    table["finding"] = [
        _finding(bool(e), bool(u), not np.isnan(p))
        for e, u, p in zip(table["encoded"], table["used"], table["p_used_adjusted"], strict=True)
    ]
    table.attrs["permutations"] = permutations
    return table


def _finding(encoded: bool, used: bool, tested: bool) -> str:
    if not tested:
        return NOT_TESTED
    if encoded:
        return USED if used else ENCODED_ONLY
    return USED_ONLY if used else NEITHER


def _sample(
    layer: PooledLayer,
    column: Column,
    labels: pd.Series[Any],
    groups: pd.Series[Any],
    permutations: int,
    seed: int,
    draws: dict[bytes, Any],
) -> tuple[_Sample | None, str]:
    """Choose the images of a feature and draw its random concepts; or say why it is not tested."""
    known = column.known[layer.rows] & labels.iloc[layer.rows].notna().to_numpy()
    key = known.tobytes()
    if key not in draws:  # features that are known of the same images share all of it
        own = layer.rows[known]
        label, _ = codes(labels.iloc[own])
        group = group_codes(groups.iloc[own], len(own))
        drawn = within_label_permutations(label, group, permutations, seed)
        kept = drawn.kept
        label, _ = codes(label[kept])
        group = group_codes(group[kept], int(kept.sum()))
        fold = folds_of(label, group, seed) if kept.any() else group
        draws[key] = np.flatnonzero(known)[kept], drawn.of_kept(), label, group, fold
    rows, index, label, group, fold = draws[key]
    presence = column.values[layer.rows[rows]] == 1
    counts = int(presence.sum()), int((~presence).sum())
    if min(counts) < FEWEST:
        which = "with" if counts[0] < counts[1] else "without"
        return None, f"{min(counts)} images {which} it that can be exchanged, of {FEWEST} needed"
    if not any(0 < presence[label == y].mean() < 1 for y in np.unique(label)):
        return None, "it is the label itself: no label has images with and without it"
    if len(np.unique(group)) < 2 * FOLDS:
        return None, f"fewer than {2 * FOLDS} groups"
    return _Sample(layer, rows, presence, label, group, fold, presence[index]), ""


def _test(
    sample: _Sample, facts: dict[str, Any], scores: Sequence[ClassScore], bootstrap: int, seed: int
) -> list[_Tested]:
    activations = sample.layer.activations[sample.rows]
    label, group, fold, cell = sample.label, sample.group, sample.fold, sample.cell
    auc, signs = [], {score.name: [np.empty(0)] for score in scores}
    first = None
    for start in range(0, len(sample.permuted), _AT_ONCE):
        some = sample.permuted[start : start + _AT_ONCE]
        vectors = concept_vectors(activations, some, label, fold)
        projections = projected(activations, vectors, fold)
        first = projections[0] if first is None else first
        auc.append(separability(projections, some, cell))
        if start < SIGNS:
            for score in scores:
                moved = projected(score.gradients[sample.rows], vectors, fold)
                signs[score.name].append((moved > 0).mean(axis=1))
    assert first is not None
    encoded = np.concatenate(auc)
    enough = len(np.unique(group)) >= FEWEST_GROUPS
    weights = group_weights(group, len(group), bootstrap if enough else 0, seed)
    low, high = (
        separability_interval(first, sample.presence, cell, weights) if enough else (np.nan,) * 2
    )
    shared = {
        **facts,
        "n": len(label),
        "n_with": int(sample.presence.sum()),
        "groups": len(np.unique(group)),
        "auc": encoded[0],
        "auc_low": low,
        "auc_high": high,
        "auc_random": float(np.nanmean(encoded[1:])),
        "p_encoded": float(upper_p(encoded)),
    }
    deviation = np.nanstd(encoded)
    standard = (encoded - np.nanmean(encoded)) / (deviation if deviation > 0 else 1.0)
    found = []
    for place, score in enumerate(scores):
        push = pushes(activations, score.gradients[sample.rows], fold)
        slope, studentised = sensitivity(push, sample.permuted, label, group)
        limits = (
            sensitivity_interval(push, sample.presence, label, weights)
            if enough
            else (np.nan, np.nan)
        )
        counted = np.concatenate(signs[score.name])
        of_random = np.quantile(counted[1:], [0.025, 0.975])
        row = {
            **shared,
            "class": score.name,
            "derivative": slope[0],
            "derivative_low": limits[0],
            "derivative_high": limits[1],
            "score_sd": _spread(score.values[sample.rows], label),
            "tcav": counted[0],
            "tcav_random_low": of_random[0],
            "tcav_random_high": of_random[1],
            "p_used": float(upper_p(np.abs(studentised))),
            "note": np.nan,
        }
        # The concept is the same, whatever the class: it counts once among all.
        found.append(_Tested(row, standard if place == 0 else None, np.abs(studentised)))
    return found


def _spread(score: Floats, label: Codes) -> float:
    """Return the standard deviation of a score within labels."""
    left = np.array(score, dtype=np.float64)
    for y in np.unique(label):
        left[label == y] -= left[label == y].mean()
    return float(np.sqrt((left**2).sum() / max(1, len(left) - len(np.unique(label)))))


def _together(extremes: Sequence[Floats | None], permutations: int) -> Floats:
    """Adjust by the largest of all features under every permutation (Westfall and Young's maxT).

    Statistics are standardised, so they are compared by the normal distribution's tail, a
    function that only has to be the same for all. Random concepts of other images are drawn apart.
    """
    tails = np.full((1 + permutations, len(extremes)), np.nan)
    for i, one in enumerate(extremes):
        if one is not None:
            tails[:, i] = norm.sf(one)
    return westfall_young(tails)
