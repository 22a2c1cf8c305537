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
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.groups.rates import Outcomes, Weights
from xattn.errors import XattnError
from xattn.splits.trap import presences
from xattn.stats.codes import group_codes, positions
from xattn.stats.columns import Column
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

if TYPE_CHECKING:
    from xattn.annotations import Annotations

METRICS = ("balanced_accuracy", "auc")
ALL = "all"
"""In place of a feature: images alike in every feature."""
NOTHING = "nothing"
"""In place of a feature: as it is."""

FEWEST_ALIKE = 5
"""Images of each class that a stratum needs on either side; others are left out of its row."""

_BLOCK = 2**18

Array = NDArray[np.float64]


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
        """Read groups of any kind."""
        return cls(outcomes, group_codes(groups, len(outcomes.truth)), tuple(columns))


def trap_of_predictions(
    predictions: pd.DataFrame,
    annotations: Annotations,
    features: Sequence[str],
    classes: Sequence[str],
    *,
    bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return trap.csv of predicted images: `ood` is the reversed side, `test` (or `val`) the other.

    Args:
        predictions: image_id, split, group, label (one of the classes), predicted, logit_<class>.
        annotations: say which images show the features.
        features: artifacts or structures; "all" for every artifact of which there are images with
            and without.
        classes: in the order of the logits; the last is the positive one of two, of more none is.
        bootstrap, seed: see `trap_table`.

    Raises:
        UsageError: a feature is unknown.
        XattnError: a side has no images, or a feature does not vary.
    """
    there = set(predictions["split"])
    first = "test" if "test" in there else "val"
    if not {first, "ood"} <= there:
        raise XattnError(
            "Expected images of the splits ood and test (or val) to compare, but got "
            f"{', '.join(sorted(there)) or 'none'}; add --split val --split ood, or make such "
            "splits with `xattn annotations split --trap`"
        )
    both = predictions[predictions["split"].isin([first, "ood"])]
    names = _artifacts(annotations, both) if list(features) == [ALL] else list(features)
    flags = presences(annotations, list(both["image_id"]), names)
    sides = []
    for split in (first, "ood"):
        inside = (both["split"] == split).to_numpy()
        part = both[inside]
        columns = [
            Column(name, "artifact", "presence", flags[inside, i]) for i, name in enumerate(names)
        ]
        sides.append(Side.of(_outcomes(part, list(classes)), part["group"], columns))
    return trap_table(*sides, bootstrap=bootstrap, seed=seed)


def _artifacts(annotations: Annotations, predictions: pd.DataFrame) -> list[str]:
    names = [name for name, f in annotations.features.items() if str(f.kind) == "artifact"]
    ids = list(predictions["image_id"])
    seen = {name: {annotations.presence(one, name) for one in ids} for name in names}
    found = [name for name in names if {True, False} <= seen[name]]
    if not found:
        raise XattnError(
            f"Expected images with and without an artifact in {annotations.path}, but got none"
        )
    return found


def _outcomes(part: pd.DataFrame, classes: list[str]) -> Outcomes:
    logits = part[[f"logit_{c}" for c in classes]].to_numpy(np.float64)
    scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    if len(classes) == 2:  # the difference separates what probabilities round to 0 or 1
        scores = logits - logits[:, ::-1]
    return Outcomes(
        positions(part["label"], classes),
        positions(part["predicted"], classes),
        scores,
        classes,
        len(classes) - 1,
    )


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
    weights: Sequence[Weights] | None,
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
    outcomes: Outcomes, stratum: NDArray[np.intp], pooled: NDArray[np.intp], weights: Weights
) -> tuple[Array, Array]:
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


def _weighted(outcomes: Outcomes, weights: Weights) -> Array:
    """Return all metrics under each weighting, block by block."""
    size = max(1, _BLOCK // max(1, weights.shape[1]))
    parts = [outcomes.weighted(weights[k : k + size]) for k in range(0, len(weights), size)]
    return np.concatenate(parts)


def _with_interval(what: str, values: Array) -> dict[str, float]:
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


def trap_sentences(table: pd.DataFrame) -> list[str]:
    """Say what the table says of balanced accuracy, one sentence a correction."""
    rows = table[table["metric"] == "balanced_accuracy"].set_index("alike_in")
    said = []
    for name, row in rows.iterrows():
        if np.isnan(row["drop"]):
            said.append(f"Too few images alike in {name} on both sides to compare.")
            continue
        drop = _shown(row, "drop")
        if name == NOTHING:
            said.append(
                f"Balanced accuracy is {row['amplified']:.3f} where artifacts and label go "
                f"together, {row['reversed']:.3f} where they are reversed: a drop of {drop}."
            )
        else:
            features = "all of them" if name == ALL else name
            if np.isnan(row["explained"]):
                explained = (
                    "what they explain cannot be told, for only images with them, or only those "
                    "without, are enough on both sides"
                )
            else:
                explained = f"{_shown(row, 'explained')} less"
            said.append(f"Among images alike in {features} the drop is {drop}: {explained}.")
    return said


def _shown(row: pd.Series[Any], what: str) -> str:
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    interval = "" if np.isnan(low) else f" ({low:.3f} to {high:.3f})"
    return f"{row[what]:.3f}{interval}"
