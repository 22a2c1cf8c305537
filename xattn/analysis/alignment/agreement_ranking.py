"""Images ranked by how far two methods' maps agree: most, median and least, chosen by a rule.

Agreement is Spearman's rank correlation of the two maps over their pixels, the measure of Adebayo
et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018), and the one of agreement.csv, at the same
places. They also show how an example that looks right misleads. So an example here stands for a
place in the order of all images, first, middle or last, which leaves nothing to taste: that choice
is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.alignment.agreement import at_common_places, standardised_ranks
from xattn.analysis.alignment.scores import degenerate
from xattn.stats.arrays import Floats
from xattn.stats.codes import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from xattn.runs import RunFolder

FIRST_PAIR = ("gradcam", "attention")
_BLOCK = 1024  # images read and ranked at once


@dataclass(frozen=True)
class RankedExample:
    """One image that stands for a place in the order.

    Attributes:
        row: of the image in predictions.
        place: "agree most", "median" or "agree least"; "the only image" if there is no other.
        correlation: of its two maps, -1 to 1.
        chance: mean correlation of the first method's map of it with the second's maps of the other
            images of its label; NaN if there are none.
    """

    row: int
    place: str
    correlation: float
    chance: float


@dataclass(frozen=True)
class RankedImages:
    """Two methods compared image by image.

    Attributes:
        methods: their names.
        correlations: (n,) of each image, NaN where a map is flat or defective.
        chance: mean over the images compared of what `RankedExample.chance` is for one; NaN if
            unknown.
        examples: at most three, agreeing most first; fewer of fewer images, none of none.
    """

    methods: tuple[str, str]
    correlations: Floats
    chance: float
    examples: list[RankedExample]

    @property
    def used(self) -> int:
        """Number of images compared."""
        return int(np.isfinite(self.correlations).sum())


def method_pairs(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Return every pair of methods, Grad-CAM with attention first, the others in their order.

    Args:
        methods: names.
    """
    found = list(combinations(methods, 2))
    first = next((pair for pair in found if set(pair) == set(FIRST_PAIR)), None)
    if first is None:
        return found
    return [FIRST_PAIR, *(pair for pair in found if pair != first)]


def rank_by_agreement(
    run: RunFolder, methods: tuple[str, str], label: pd.Series[Any]
) -> RankedImages:
    """Compare the maps of two methods of a run, and choose the examples.

    Left out are images with a map that is constant, has no positive part, or holds NaN or
    infinity: it cannot be shown. Of equal correlations the earlier image comes first, and of an
    even number of images the lower median is meant.

    Args:
        run: its maps are read.
        methods: two of the run's.
        label: of each image (n,), "" where unknown, which is one more label.

    Returns:
        The correlations of all images, -1 to 1, their chance level, and the examples.

    Source: the correlation is that of Adebayo et al. 2018; the choice of examples is our own.
    """
    number, names = codes(label)
    correlations = np.full(len(number), np.nan)
    sums: list[Floats] = []  # of the standardised ranks of each label's maps, by method
    for start in range(0, len(number), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(number)))
        kept, ranks = _ranks(run, methods, rows)
        if not len(kept):
            continue
        correlations[kept] = np.einsum("ij,ij->i", *ranks)
        sums = sums or [np.zeros((len(names), r.shape[1])) for r in ranks]
        for total, r in zip(sums, ranks, strict=True):
            np.add.at(total, number[kept], r)
    known = np.isfinite(correlations)
    own = np.bincount(number[known], correlations[known], len(names))
    size = np.bincount(number[known], minlength=len(names)).astype(float)
    order = np.flatnonzero(known)
    order = order[np.argsort(-correlations[order], kind="stable")]
    if not len(order):
        return RankedImages(methods, correlations, np.nan, [])
    # A sum over all pairs of a label less its own pairs: no map need meet another one by one.
    others = np.where(size > 1, size - 1, np.nan)
    by_label = (np.einsum("ij,ij->i", *sums) - own) / others
    paired = size > 1
    chance = float(by_label[paired].sum() / size[paired].sum()) if paired.any() else np.nan
    last = len(order) - 1
    places = {0: "agree most", len(order) // 2: "median", last: "agree least"}
    if last == 0:
        places = {0: "the only image"}
    examples = []
    for place, words in places.items():
        row = int(order[place])
        _, (one, _) = _ranks(run, methods, np.array([row]))
        with_all = float(one[0] @ sums[1][number[row]])
        value = float(correlations[row])
        examples.append(RankedExample(row, words, value, (with_all - value) / others[number[row]]))
    return RankedImages(methods, correlations, chance, examples)


def _ranks(
    run: RunFolder, methods: tuple[str, str], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], list[Floats]]:
    """Rank the pixels of both maps of some images, standardised, as agreement.csv does.

    Returns:
        The rows that have two maps to compare, and of each method the ranks (rows, pixels).
    """
    first, second = (
        np.asarray(run.map_array(m)[rows[0] : rows[-1] + 1], np.float32) for m in methods
    )
    good = ~(degenerate(first) | degenerate(second))
    if not good.any():
        return rows[good], []
    cells = run.cells(methods[0]), run.cells(methods[1])
    values = at_common_places((first[good], second[good]), cells)
    # A fine pattern can average to a flat one.
    varied = np.logical_and.reduce([np.ptp(v, axis=1) > 0 for v in values])
    ranks = [standardised_ranks(v[varied]) for v in values]
    return rows[good][varied], ranks
