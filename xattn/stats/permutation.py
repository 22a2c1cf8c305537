"""Exact permutations within each label, with the images of one group kept together.

    group ──> feature      Null: feature ⟂ prediction | label (and group).
      │  ╲      │          Within a label nothing but chance decides which image has which
      │   label │          feature value, so any reshuffling there is as likely as the one seen.
      ▼  ╱   ▼  ?          Images of one group (lesion, patient, slide) are alike, so groups move
    prediction             as wholes and only to places where a group of the same composition was.

A test that compares the observed statistic with the same statistic on such permutations holds
its level exactly, in samples of any size and for any distribution (Berrett et al., JRSS-B 2020,
with a discrete condition).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.stats.codes import codes, group_codes


@dataclass(frozen=True)
class Stratum:
    """Groups of one composition, which can stand in for each other.

    Attributes:
        composition: label -> how many images of it each of these groups holds.
        blocks: number of groups.
    """

    composition: dict[str, int]
    blocks: int

    @property
    def images(self) -> int:
        """Number of images in all these groups."""
        return self.blocks * sum(self.composition.values())

    def __str__(self) -> str:
        parts = [name if n == 1 else f"{n} {name}" for name, n in self.composition.items()]
        return " + ".join(parts)


@dataclass(frozen=True)
class Permutations:
    """Random permutations of rows within strata.

    Attributes:
        with_identity: int32 (1 + P, n), the identity first: row r of permutation p takes what
            belonged to row with_identity[p, r].
        kept: bool (n,), False for rows of dropped strata, which every permutation leaves alone.
        dropped: strata of a single block: nothing can take its place.
        smallest_p: the least p-value these permutations can give.
    """

    with_identity: NDArray[np.int32]
    kept: NDArray[np.bool_]
    dropped: tuple[Stratum, ...]
    smallest_p: float

    @property
    def index(self) -> NDArray[np.int32]:
        """The drawn permutations, (P, n); the identity is among them only if it was drawn."""
        return self.with_identity[1:]

    def of_kept(self) -> NDArray[np.int32]:
        """Return the permutations of the kept rows only, numbered anew: int32 (1 + P, kept).

        The identity comes first, so that row 0 of a statistic is the observed one, computed by
        the very operations that compute its null.
        """
        if self.kept.all():
            return self.with_identity
        number = np.cumsum(self.kept, dtype=np.int32) - np.int32(1)
        return number[self.with_identity[:, self.kept]]


def within_label_permutations(
    label: ArrayLike, groups: ArrayLike | None = None, n_permutations: int = 999, seed: int = 0
) -> Permutations:
    """Draw permutations that keep every row's label and every group whole.

    Groups are exchanged only with groups of the same composition (the same number of images of
    each label); inside, rows are matched label by label in the order they come.

    Args:
        label: (n,) values of any kind, none missing.
        groups: (n,) values of any kind; a missing one is a group of its own. None: every row is.
        n_permutations: how many to draw, P.
        seed: same seed, same permutations.

    Returns:
        The permutations, int32 (1 + P, n), the identity first.

    Raises:
        ValueError: lengths differ or a label is missing.

    Source: Berrett et al., Journal of the Royal Statistical Society B 2020.
    """
    label_codes, names = codes(label)
    if (label_codes < 0).any():
        raise ValueError("Expected a label for every row, but some are missing")
    group_code = group_codes(groups, len(label_codes))
    rng = np.random.default_rng(seed)
    n = len(label_codes)
    index = np.tile(np.arange(n, dtype=np.int32), (1 + n_permutations, 1))
    kept = np.zeros(n, dtype=bool)
    dropped: list[Stratum] = []
    log_distinct = 0.0
    for rows, composition in _strata(label_codes, group_code, len(names)):
        blocks, size = rows.shape
        if blocks == 1:
            counts = {str(names[i]): int(c) for i, c in enumerate(composition) if c}
            dropped.append(Stratum(counts, blocks))
            continue
        order = np.tile(np.arange(blocks, dtype=np.int32), (n_permutations, 1))
        rng.permuted(order, axis=1, out=order)
        for slot in range(size):
            own = rows[:, slot]
            alone = own[-1] - own[0] + 1 == blocks and bool((np.diff(own) == 1).all())
            place = slice(own[0], own[-1] + 1) if alone else own  # a slice is much quicker
            index[1:, place] = np.take(own, order, mode="clip")
        kept[rows] = True
        log_distinct += math.lgamma(blocks + 1)
    fewest = math.exp(-log_distinct) if kept.any() else 1.0
    return Permutations(index, kept, tuple(dropped), max(1 / (1 + n_permutations), fewest))


def _strata(
    label: NDArray[np.intp], group: NDArray[np.intp], n_labels: int
) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Return for each composition its rows (blocks, size) in label order, and the composition."""
    if not len(group):
        return []
    counts = np.zeros((int(group.max()) + 1, n_labels), dtype=np.int64)
    np.add.at(counts, (group, label), 1)
    compositions, member = np.unique(counts, axis=0, return_inverse=True)
    member = member.reshape(-1)
    # Stable: rows of one group and label stay in the order they come.
    order = np.lexsort((label, group, member[group])).astype(np.int32)
    sizes = compositions.sum(1) * np.bincount(member, minlength=len(compositions))
    pieces: Sequence[Any] = np.split(order, np.cumsum(sizes)[:-1])
    return [
        (piece.reshape(-1, int(composition.sum())), composition)
        for piece, composition in zip(pieces, compositions, strict=True)
    ]
