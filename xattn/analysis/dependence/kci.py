"""A cross-check by another lab's test: causal-learn's KCI (Zhang et al., UAI 2011).

Its cost grows with the cube of the images and it knows no groups, so it sees a random subset with
one image a group. It is optional: `pip install "xattn[kci]"`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.dependence.effects import main_direction
from xattn.errors import UsageError
from xattn.stats.codes import codes, group_codes
from xattn.stats.columns import Column

IMAGES = 400


def kci_p_values(
    columns: Sequence[Column],
    prediction: NDArray[np.float64],
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    images: int = IMAGES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return KCI's p-value of each feature, (features,); NaN where fewer than 30 images are left.

    Args:
        columns: the features.
        prediction: (n,) or (n, classes); of several the direction in which they differ most.
        label, groups: (n,).
        images: at most so many are tested, drawn at random, one of each group.
        seed: same seed, same images.

    Raises:
        UsageError: causal-learn is not installed.
    """
    try:
        from causallearn.utils.KCI.KCI import KCI_CInd
    except ImportError:
        raise UsageError(
            'Expected causal-learn for the cross-check, but it is not installed: pip install "'
            'xattn[kci]"'
        ) from None
    label_code, names = codes(label)
    scores = np.asarray(prediction, dtype=np.float64).reshape(len(label_code), -1)
    alone = np.random.default_rng(seed).permutation(len(label_code))
    _, first = np.unique(group_codes(groups, len(label_code))[alone], return_index=True)
    order = alone[np.sort(first)]  # one image a group, in random order
    usable = (label_code >= 0) & np.isfinite(scores).all(axis=1)
    found = []
    for column in columns:
        rows = order[(usable & column.known)[order]][:images]
        x = column.values[rows]
        if len(rows) < 30 or (x == x[:1]).all():
            found.append(np.nan)
            continue
        x = np.eye(int(x.max()) + 1)[x.astype(int)] if column.nominal else x.reshape(len(rows), -1)
        y = main_direction(scores[rows], label_code[rows])
        condition = np.eye(len(names))[label_code[rows]]
        found.append(float(KCI_CInd().compute_pvalue(x, y[:, None], condition)[0]))
    return np.array(found)
