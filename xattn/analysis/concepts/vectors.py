"""Concept activation vectors, fitted on some images and held against others.

The vector of a concept is the difference of the mean activations of images with and without it
(FastCAV, Schmalwasser et al. 2025, arXiv:2505.17883), taken within labels: images of one label
alone are compared, or a concept that is rare in benign images would point to "malignant", whatever
the network knows of it. Of four fifths of the images, whole groups of them, it is found, and the
last fifth says what it is worth, in turn.

A random concept is the same concept at random places: as many images of every label, whole groups
exchanged. All is done with it that is done with the concept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from xattn.stats.arrays import Floats
from xattn.stats.resampling import percentile_interval
from xattn.stats.weighted_metrics import auc_of

FOLDS = 5

Bools = NDArray[np.bool_]
Codes = NDArray[np.intp]
Float32 = NDArray[np.float32]


def folds_of(label: Codes, group: Codes, seed: int) -> Codes:
    """Return the fold of each image, (n,): groups stay whole, labels are spread evenly.

    Args:
        label, group: (n,) numbers from 0.
        seed: same seed, same folds.
    """
    n_groups = int(group.max()) + 1
    first = np.zeros(n_groups, dtype=np.intp)
    first[group[::-1]] = label[::-1]
    order = np.lexsort((np.random.default_rng(seed).permutation(n_groups), first))
    fold = np.empty(n_groups, dtype=np.intp)
    fold[order] = np.arange(n_groups) % FOLDS
    return fold[group]


def concept_vectors(activations: Float32, presence: Bools, label: Codes, fold: Codes) -> Float32:
    """Return the vectors of m concepts, each without the images of one fold: (m, FOLDS, C).

    v = sum_y sum_i (x_i - p_y) a_i / sum_y n_y p_y (1 - p_y), i over the images of label y in the
    other folds, p_y the fraction of them that has the concept: the mean difference between images
    with and without it, labels weighted by what they can tell. NaN where no label can.

    Args:
        activations: (n, C).
        presence: (m, n), which images have the concept.
        label, fold: (n,) numbers from 0.
    """
    labels = int(label.max()) + 1
    m, channels = len(presence), activations.shape[1]
    centred = np.empty_like(activations)
    for y in range(labels):
        centred[label == y] = activations[label == y] - activations[label == y].mean(axis=0)
    sums = np.zeros((m, FOLDS, channels), dtype=np.float32)
    ones = np.zeros((m, labels, FOLDS))
    whole, size = np.zeros((labels, FOLDS, channels)), np.zeros((labels, FOLDS))
    x = presence.astype(np.float32)
    for f in range(FOLDS):
        sums[:, f] = x[:, fold == f] @ centred[fold == f]
        for y in range(labels):
            rows = np.flatnonzero((label == y) & (fold == f))
            ones[:, y, f] = x[:, rows].sum(axis=1)
            whole[y, f], size[y, f] = centred[rows].sum(axis=0), len(rows)
    found = np.empty_like(sums)
    for f in range(FOLDS):
        others = np.arange(FOLDS) != f
        n, n_with = size[:, others].sum(axis=1), ones[:, :, others].sum(axis=2)
        fraction = n_with / np.maximum(n, 1)
        weight = (n_with * (1 - fraction)).sum(axis=1)
        moved = sums[:, others].sum(axis=1) - fraction @ whole[:, others].sum(axis=1)
        found[:, f] = moved / np.where(weight > 0, weight, np.nan)[:, None]
    return found


def projected(values: Float32, vectors: Float32, fold: Codes) -> Float32:
    """Project each image's values (n, C) on the vectors that were fitted without it: (m, n).

    Args:
        values: activations, or gradients.
        vectors: (m, FOLDS, C).
        fold: (n,).
    """
    found = np.empty((len(vectors), len(values)), dtype=np.float32)
    for f in range(FOLDS):
        found[:, fold == f] = vectors[:, f] @ values[fold == f].T
    return found


def separability(projections: Float32, presence: Bools, cell: Codes) -> Floats:
    """Return the AUC of each of m concepts among held-out images of one label and fold: (m,).

    All pairs of an image with and one without the concept that share label and fold count alike;
    ties count half. NaN where there is no pair.

    Args:
        projections: (m, n) of images on vectors.
        presence: (m, n).
        cell: (n,) numbers of label and fold together.
    """
    above, pairs = np.zeros(len(presence)), np.zeros(len(presence))
    for c in np.unique(cell):
        x = presence[:, cell == c]
        n_with = x.sum(axis=1)
        ranks = rankdata(projections[:, cell == c], axis=1)
        above += (ranks * x).sum(axis=1) - n_with * (n_with + 1) / 2
        pairs += n_with * (x.shape[1] - n_with)
    return above / np.where(pairs > 0, pairs, np.nan)


def separability_interval(
    projections: Float32, presence: Bools, cell: Codes, weights: NDArray[np.floating]
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the AUC of one concept; the vectors are held fixed.

    Args:
        projections, presence, cell: (n,), as of `separability`.
        weights: (replicates, n) of a bootstrap.
    """
    above, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for c in np.unique(cell):
        rows = np.flatnonzero(cell == c)
        x, w = presence[rows], np.asarray(weights[:, rows], dtype=np.float64)
        own = w[:, x].sum(axis=1) * w[:, ~x].sum(axis=1)
        auc = auc_of(projections[rows].astype(np.float64), x, w) if x.any() and not x.all() else own
        above += np.where(own > 0, np.nan_to_num(auc) * own, 0.0)
        pairs += own
    low, high = percentile_interval(above / np.where(pairs > 0, pairs, np.nan))
    return float(low), float(high)


def pushes(activations: Float32, gradients: Float32, fold: Codes) -> Floats:
    """Return how far each image's activations point where the score rises in other folds: (n,).

    The directional derivative of a concept is linear in its vector, and the vector in the images:
    with these numbers it is a difference of means between images with and without the concept.

    Args:
        activations: (n, C).
        gradients: (n, C), of the score.
        fold: (n,).
    """
    size = np.bincount(fold, minlength=FOLDS)
    mean = np.stack([gradients[fold == f].sum(axis=0) for f in range(FOLDS)])
    found = np.empty(len(fold))
    for f in range(FOLDS):
        others = np.arange(FOLDS) != f
        # Fold g takes its vector from all but itself, of which fold f is a part.
        direction = (mean[others] / (len(fold) - size[others])[:, None]).sum(axis=0)
        found[fold == f] = activations[fold == f] @ direction
    return found


def sensitivity(push: Floats, presence: Bools, label: Codes, group: Codes) -> tuple[Floats, Floats]:
    """Return the mean directional derivative of m concepts, and each over its standard error.

    The error allows for other spreads with and without the concept, and for groups. Dividing by it
    keeps the level where a concept is encoded and not used: permuting alone would take the spreads
    for equal.

    Args:
        push: (n,) of `pushes`.
        presence: (m, n).
        label, group: (n,) numbers from 0.
    """
    x, u = presence.astype(np.float64), np.array(push, dtype=np.float64)
    for y in np.unique(label):
        x[:, label == y] -= x[:, label == y].mean(axis=1, keepdims=True)
        u[label == y] -= u[label == y].mean()
    spread = (x**2).sum(axis=1)
    slope = x @ u / spread
    left = x * (u - slope[:, None] * x)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    by_group = np.add.reduceat(left[:, order], starts, axis=1)
    error = np.sqrt((by_group**2).sum(axis=1)) / spread
    with np.errstate(invalid="ignore", divide="ignore"):
        return slope, np.where(error > 0, slope / error, 0.0)


def sensitivity_interval(
    push: Floats, presence: Bools, label: Codes, weights: NDArray[np.floating]
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean directional derivative of one concept.

    Args:
        push, presence, label: (n,), as of `sensitivity`.
        weights: (replicates, n) of a bootstrap.
    """
    above, below = np.zeros(len(weights)), np.zeros(len(weights))
    for y in np.unique(label):
        rows = label == y
        w, x = np.asarray(weights[:, rows], dtype=np.float64), presence[rows].astype(np.float64)
        u = push[rows] - push[rows].mean()
        n, n_with = w.sum(axis=1), w @ x
        safe = np.maximum(n, 1)
        above += w @ (x * u) - n_with * (w @ u) / safe
        below += n_with * (1 - n_with / safe)
    low, high = percentile_interval(above / np.where(below > 0, below, np.nan))
    return float(low), float(high)
