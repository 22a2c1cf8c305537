"""Every map in the masks that permutations give it: the chance level of alignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats
from xattn.stats.drawn import Drawn

_GATHER = 2**22


def paired_sums(
    positive: Floats,
    grid: Floats,
    index: Drawn[np.int32],
    label: NDArray[np.intp],
    n_labels: int,
) -> Floats:
    """Return the total mass of maps in the masks each permutation gives them.

    Of few images the mass of every map in every mask is one product, from which permutations
    choose; of more images than permutations it is less to multiply what each of these pairs.

    Args:
        positive: (k, c) maps as fractions.
        grid: (k, c) masks on the same parts.
        index: (P, k) which mask each map meets.
        label: (k,) numbers from 0.
        n_labels: how many there are.

    Returns:
        (P, n_labels + 1): per label, and over all in the last column.
    """
    k = len(positive)
    total = np.zeros((n_labels + 1, len(index)))
    member = np.zeros((n_labels + 1, k))
    member[-1] = 1
    if n_labels:
        member[label, np.arange(k)] = 1
    if k > len(index):
        return index.map(lambda some: _pair_by_pair(positive, grid, some, member))
    meets = np.ascontiguousarray(np.asarray(index).T)
    size = max(1, _GATHER // max(1, k + len(index)))
    for start in range(0, k, size):
        some = slice(start, start + size)
        mass = positive[some] @ grid.T  # every map of these in every mask
        total += member[:, some] @ np.take_along_axis(mass, meets[some], axis=1)
    return total.T


def _pair_by_pair(
    positive: Floats, grid: Floats, index: NDArray[np.int32], member: Floats
) -> Floats:
    """Return `paired_sums` of some permutations, from the pairs that they make."""
    total = np.zeros((len(index), len(member)))
    size = max(1, _GATHER // max(1, len(index) * positive.shape[1]))
    for start in range(0, len(positive), size):
        some = slice(start, start + size)
        met = grid[index[:, some]]  # (permutations, these maps, c)
        total += np.einsum("pkc,kc->pk", met, positive[some]) @ member[:, some].T
    return total
