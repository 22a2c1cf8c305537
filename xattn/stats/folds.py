"""Folds for cross-fitting: whole groups, alike in labels."""

from __future__ import annotations

import numpy as np

from xattn.stats.arrays import Codes


def assign_folds(group: Codes, label: Codes, folds: int, seed: int) -> Codes:
    """Return the fold of each image (n,): whole groups, every fold alike in labels.

    Groups are sorted by their mean label, at random among equals, and go to the folds in turn.

    Args:
        group: (n,) numbers from 0.
        label: (n,) numbers from 0.
        folds: how many.
        seed: same seed, same folds.
    """
    groups = int(group.max()) + 1
    mean = np.bincount(group, label) / np.maximum(1, np.bincount(group))
    order = np.lexsort((np.random.default_rng([seed, 5]).random(groups), mean))
    fold = np.empty(groups, dtype=np.intp)
    fold[order] = np.arange(groups) % folds
    return fold[group]
