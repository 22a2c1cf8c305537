"""Trap sets: what goes with the label in training goes against it in a test set of its own.

    artifact ──> label      as found      ruler in 47 % of the benign, 60 % of the malignant
    train, val, test        amplified     more often together than in the data
    ood                     reversed      the other way round

A model that takes the artifact for the disease does well on train, val and test, and fails on ood
(Bissoto, Valle and Avila 2020, "Debiasing Skin Lesion Datasets and Models? Not So Fast").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import UsageError, XattnError, near
from xattn.splits.samples import SPLITS, Sample, Split, labels_of
from xattn.splits.splits import units

if TYPE_CHECKING:
    from xattn.annotations import Annotations

_ROUNDS = 30
_STEP = 2.0

Array = NDArray[np.float64]


def presences(annotations: Annotations, ids: Sequence[str], features: Sequence[str]) -> Array:
    """Return whether images show features: (n, features) of 0 and 1, NaN where unknown.

    Raises:
        UsageError: a feature is not in the file, or is neither artifact nor structure.
        XattnError: a feature does not vary among the images.
    """
    kinds = {name: str(f.kind) for name, f in annotations.features.items()}
    known = [name for name, kind in kinds.items() if kind != "metadata"]
    columns = []
    for name in features:
        if name not in known:
            raise UsageError(f"Unknown artifact or structure {name!r}{near(name, known)}")
        seen = [annotations.presence(one, name) for one in ids]
        column = np.array([np.nan if one is None else float(one) for one in seen])
        if len(np.unique(column[~np.isnan(column)])) < 2:
            raise XattnError(
                f"Expected images with {name} and images without it, but {annotations.path} knows "
                "of one sort alone"
            )
        columns.append(column)
    return np.stack(columns, axis=1)


def bind_trap(
    samples: Sequence[Sample],
    hashes: Mapping[str, str],
    flags: Array,
    *,
    fraction: float,
    strength: float = 0.8,
    seed: int,
) -> list[Sample]:
    """Bind those images to `ood` in which features and label contradict what is usual.

    Of every class the fraction is taken in which the features agree least with what its images
    usually show; then what is left agrees more than before. Whole groups (and copies) are taken.
    A part of it is taken at random instead: with none, a single artifact would be in all
    images of one class and in none of the other, and nothing could be compared among images alike.
    Several features are weighed so that the one least reversed is reversed as far as possible
    (multiplicative weights, 30 rounds; the best round is kept).

    Args:
        samples: labelled images, none of them bound.
        hashes: sample id -> hash of its file's bytes.
        flags: (n, features) 0 or 1, NaN where unknown, which counts as neither.
        fraction: of the images of every class, in (0, 1).
        strength: fraction of these that is chosen, 0 to 1; the rest is taken at random.
        seed: of the random order, which also decides between images alike.

    Returns:
        The samples, the others still free to be assigned.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"Expected a fraction of the trap between 0 and 1, but got {fraction}")
    if not 0 <= strength <= 1:
        raise UsageError(f"Expected a strength of the trap from 0 to 1, but got {strength}")
    label, unit = labels_of(samples), units(samples, hashes)
    agreement = _agreement(flags, label)
    weight = np.ones(flags.shape[1])
    best, least = np.zeros(len(samples), dtype=bool), np.inf
    draw = np.random.default_rng(seed).random(unit.max() + 1)
    for _ in range(_ROUNDS):
        taken = _take(agreement @ (weight / weight.sum()), label, unit, draw, (fraction, strength))
        found = association(flags[taken], label[taken], like=(flags, label))
        if found.max() < least:
            best, least = taken, found.max()
        weight *= np.exp(_STEP * (found - found.mean()))
    return [
        replace(sample, split="ood") if mine else sample
        for sample, mine in zip(samples, best, strict=True)
    ]


def association(
    flags: Array, label: NDArray[np.intp], like: tuple[Array, NDArray[np.intp]] | None = None
) -> Array:
    """Return how strongly each feature goes with the label, -1 to 1: (features,).

    The correlation of presence with how often the label's images usually show the feature. Of two
    classes that is the phi coefficient, positive in the whole of the images.

    Args:
        flags: (n, features), NaN where unknown.
        label: (n,) class numbers.
        like: flags and labels of the images that say what is usual; default these.
    """
    usual_flags, usual_label = like or (flags, label)
    usual = _class_means(usual_flags, usual_label)[:, label]  # (features, n)
    found = []
    for column, expected in zip(flags.T, usual, strict=True):
        known = ~np.isnan(column)
        x, t = column[known], expected[known]
        varies = len(x) > 1 and x.std() > 0 and t.std() > 0
        found.append(float(np.corrcoef(x, t)[0, 1]) if varies else 0.0)
    return np.array(found)


def describe_trap(
    samples: Sequence[Sample],
    splits: Mapping[str, Split],
    flags: Array,
    features: Sequence[str],
) -> list[str]:
    """Return a line per feature: how it goes with the label in each split."""
    label = labels_of(samples)
    split = np.array([splits[s.id] for s in samples], dtype=object)
    there = [name for name in SPLITS if (split == name).any()]
    found = {
        name: association(flags[split == name], label[split == name], like=(flags, label))
        for name in there
    }
    whole = association(flags, label)
    lines = []
    for i, feature in enumerate(features):
        parts = ", ".join(f"{found[name][i]:+.2f} in {name}" for name in there)
        lines.append(
            f"correlation of {feature} with the label that it usually goes with: {whole[i]:+.2f} "
            f"in all, {parts}"
        )
        if found["ood"][i] >= 0:
            lines.append(
                f"{feature} could not be reversed; raise the strength, or name fewer features"
            )
    return lines


def _class_means(flags: Array, label: NDArray[np.intp]) -> Array:
    """Return how often images of each class show each feature: (features, classes)."""
    is_class = (label[:, None] == np.arange(int(label.max()) + 1)).astype(np.float64)
    known = ~np.isnan(flags)
    seen = np.where(known, flags, 0.0).T @ is_class
    counts = known.T.astype(np.float64) @ is_class
    return np.asarray(seen / np.maximum(counts, 1))


def _agreement(flags: Array, label: NDArray[np.intp]) -> Array:
    """Return how far each image shows what is usual in its class: (n, features), unit scale."""
    mean, sd = np.nanmean(flags, axis=0), np.nanstd(flags, axis=0)
    tendency = _class_means(flags, label).T - mean  # (classes, features)
    tendency /= np.maximum(np.abs(tendency).max(axis=0), 1e-12)
    standard = np.where(np.isnan(flags), 0.0, (flags - mean) / sd)
    return np.asarray(standard * tendency[label])


def _take(
    agreement: Array,
    label: NDArray[np.intp],
    unit: NDArray[np.intp],
    draw: Array,
    how_many: tuple[float, float],
) -> NDArray[np.bool_]:
    """Take whole units, at random and then those that agree least, as many as wanted: (n,)."""
    counts = np.zeros((unit.max() + 1, label.max() + 1))
    np.add.at(counts, (unit, label), 1)
    mean = np.bincount(unit, agreement) / counts.sum(axis=1)
    fraction, strength = how_many
    wanted = np.round(fraction * counts.sum(axis=0))
    left = wanted.copy()
    taken = np.zeros(len(counts), dtype=bool)
    for order, limit in (
        (np.argsort(draw), np.round(strength * wanted)),
        (np.lexsort((draw, mean)), 0),
    ):
        for one in order:
            if not taken[one] and (counts[one] <= left - limit).all():
                taken[one] = True
                left -= counts[one]
    return np.asarray(taken[unit])
