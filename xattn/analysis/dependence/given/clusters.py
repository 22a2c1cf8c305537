"""Features that say nearly the same, which would explain each other away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from xattn.analysis.dependence.given.encoding import Encoded
from xattn.analysis.dependence.missingness import ASPECT
from xattn.stats.arrays import Codes, Floats

NEARLY_THE_SAME = 0.95
"""Correlation of ranks from which two features are tested together against the rest."""
_FEWEST = 10  # images in which both are known


def clusters(features: Sequence[Encoded]) -> Codes:
    """Return the number of each feature's cluster (m,).

    Presence, area and count of one structure are one cluster. So are features of which every two
    have a correlation of ranks of at least 0.95 (complete linkage: chains do not join).

    Args:
        features: all that are tested.
    """
    if len(features) < 2:
        return np.zeros(len(features), dtype=np.intp)
    alike = _likeness(features)
    names = [f.column.feature for f in features]
    of_values = [f.column.aspect != ASPECT for f in features]
    for i in range(len(features)):
        for j in range(i):
            if names[i] == names[j] and of_values[i] and of_values[j]:
                alike[i, j] = alike[j, i] = 1.0
    distance = squareform(np.maximum(0.0, 1 - alike), checks=False)  # rounded beyond 1, it may be
    number = fcluster(linkage(distance, "complete"), 1 - NEARLY_THE_SAME + 1e-9, "distance")
    return _of_one_name(np.asarray(number, dtype=np.intp), names, of_values)


def _of_one_name(number: Codes, names: Sequence[str], of_values: Sequence[bool]) -> Codes:
    """Join the clusters over which the aspects of one feature are spread."""
    found = number.copy()
    for name in dict.fromkeys(names):
        mine = [n for n, other, value in zip(found, names, of_values, strict=True)
                if other == name and value]  # fmt: skip
        for other in mine[1:]:
            found[found == other] = mine[0]
    return np.unique(found, return_inverse=True)[1].reshape(-1)


def _likeness(features: Sequence[Encoded]) -> Floats:
    """Return how well the one tells the other (m, m): the multiple correlation of their columns.

    Over the images where both are known; the lesser of the two directions, so that a name that is
    one of many does not count as all of them.
    """
    m = len(features)
    found = np.eye(m)
    for i in range(m):
        for j in range(i):
            a, b = (features[k].tested[:, : features[k].first] for k in (i, j))
            rows = ~(np.isnan(a).any(axis=1) | np.isnan(b).any(axis=1))
            if rows.sum() < _FEWEST or not a.shape[1] or not b.shape[1]:
                continue
            one, other = a[rows], b[rows]
            found[i, j] = found[j, i] = min(_explained(one, other), _explained(other, one))
    return found


def _explained(target: Floats, by: Floats) -> float:
    """Return the root of the fraction of variance of columns that others explain linearly."""
    target, by = target - target.mean(axis=0), by - by.mean(axis=0)
    if target.shape[1] == 1 and by.shape[1] == 1:
        scale = np.sqrt((target**2).sum() * (by**2).sum())
        return float(abs((target * by).sum()) / scale) if scale else 0.0
    fitted = by @ np.linalg.lstsq(by, target, rcond=None)[0]
    total = float(np.square(target).sum())
    return float(np.sqrt(np.square(fitted).sum() / total)) if total else 0.0
