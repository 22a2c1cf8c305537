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

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xattn.stats.codes import codes, group_codes
from xattn.stats.drawn import Drawn


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
        every: int32 (1 + P, n), drawn a block at a time, the identity first: row r of permutation p
            takes what belonged to row every[p, r].
        kept: bool (n,), False for rows of dropped strata, which every permutation leaves alone.
        dropped: strata of a single block: nothing can take its place.
        smallest_p: the least p-value these permutations can give.
    """

    every: Drawn[np.int32]
    kept: NDArray[np.bool_]
    dropped: tuple[Stratum, ...]
    smallest_p: float

    @property
    def index(self) -> NDArray[np.int32]:
        """The drawn permutations, (P, n); the identity is among them only if it was drawn."""
        return self.every[1:]

    def of_kept(self) -> Drawn[np.int32]:
        """Return the permutations of the kept rows only, numbered anew: int32 (1 + P, kept).

        The identity comes first, so that row 0 of a statistic is the observed one, computed by
        the very operations that compute its null.
        """
        if self.kept.all():
            return self.every
        number = np.cumsum(self.kept, dtype=np.int32) - np.int32(1)
        shape = len(self.every), int(self.kept.sum())

        def some_at_a_time(size: int) -> Iterator[NDArray[np.int32]]:
            for start in range(0, len(self.every), size):
                yield number[self.every[start : start + size][:, self.kept]]

        return Drawn(shape, some_at_a_time)


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
    n = len(label_codes)
    kept = np.zeros(n, dtype=bool)
    dropped: list[Stratum] = []
    movable: list[NDArray[np.int32]] = []
    log_distinct = 0.0
    for rows, composition in _strata(label_codes, group_code, len(names)):
        blocks = len(rows)
        if blocks == 1:
            counts = {str(names[i]): int(c) for i, c in enumerate(composition) if c}
            dropped.append(Stratum(counts, blocks))
            continue
        movable.append(rows)
        kept[rows] = True
        log_distinct += math.lgamma(blocks + 1)
    fewest = math.exp(-log_distinct) if kept.any() else 1.0
    draw = _Drawing(n, n_permutations, seed, tuple(movable))
    return Permutations(
        Drawn((1 + n_permutations, n), draw.blocks),
        kept,
        tuple(dropped),
        max(1 / (1 + n_permutations), fewest),
    )


@dataclass(frozen=True)
class _Drawing:
    """Draws permutations of n rows, of one stratum after the other from one stream of numbers.

    Attributes:
        n: rows.
        permutations: how many.
        seed: of the stream.
        strata: (blocks, size) rows of each, in label order.
    """

    n: int
    permutations: int
    seed: int
    strata: tuple[NDArray[np.int32], ...]

    def blocks(self, size: int) -> Iterator[NDArray[np.int32]]:
        """Yield all permutations, the identity first, `size` at a time.

        Args:
            size: of a block.
        """
        streams = self._streams(size)
        for start in range(0, 1 + self.permutations, size):
            rows = min(size, 1 + self.permutations - start)
            index = np.tile(np.arange(self.n, dtype=np.int32), (rows, 1))
            moved = index[1:] if start == 0 else index
            for own, stream in zip(self.strata, streams, strict=True):
                order = _orders(stream, len(moved), len(own))
                for place in own.T:
                    alone = place[-1] - place[0] + 1 == len(place)
                    alone = alone and bool((np.diff(place) == 1).all())
                    # A slice is much quicker.
                    where = slice(place[0], place[-1] + 1) if alone else place
                    moved[:, where] = np.take(place, order, mode="clip")
            yield index

    def _streams(self, size: int) -> list[np.random.Generator]:
        """Return for each stratum the stream where its numbers begin: after all of those before."""
        rng = np.random.default_rng(self.seed)
        if size > self.permutations:  # one block, which takes the numbers in their order
            return [rng] * len(self.strata)
        streams = []
        for own in self.strata:
            streams.append(copy.deepcopy(rng))
            for start in range(0, self.permutations, size):
                _orders(rng, min(size, self.permutations - start), len(own))
        return streams


def _orders(rng: np.random.Generator, rows: int, blocks: int) -> NDArray[np.int32]:
    """Draw orders of blocks, (rows, blocks)."""
    order = np.tile(np.arange(blocks, dtype=np.int32), (rows, 1))
    return rng.permuted(order, axis=1, out=order)


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
