"""Every feature tested given the label and the features held fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from xattn.analysis.dependence.given.clusters import NEARLY_THE_SAME, clusters
from xattn.analysis.dependence.given.effect import NOTHING, Partial, partial_correlation
from xattn.analysis.dependence.given.encoding import Encoded, encode, normal_scores, standardised
from xattn.analysis.dependence.given.residuals import FOLDS, Residuals
from xattn.analysis.dependence.given.statistics import (
    Contributions,
    Flips,
    fraction_as_small,
    smallest_p,
)
from xattn.analysis.dependence.missingness import ASPECT
from xattn.analysis.settings import LEARNERS
from xattn.stats.arrays import Codes, Floats
from xattn.stats.columns import Column
from xattn.stats.folds import assign_folds

FEWEST_UNITS = 30
"""Groups of images, below which nothing is tested given other features."""
_NOTHING_LEFT = 1e-3  # of a feature's variance: what is held fixed tells the rest of it


@dataclass(frozen=True)
class GivenSample:
    """Images with a label and a score, and what their features say.

    Attributes:
        tested: the features.
        held: which of them are held fixed, the others being tested alone.
        score: (n, q) normal scores of the predictions.
        label, group: (n,) numbers from 0.
        permutations, seed: of the flips.
        learner: what residuals are taken from.
    """

    tested: Sequence[Encoded]
    held: Sequence[bool]
    score: Floats
    label: Codes
    group: Codes
    permutations: int
    seed: int
    learner: str = LEARNERS[0]
    _known: dict[tuple[int, tuple[int, ...]], tuple[Floats, Floats, float]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(
        cls, columns: Sequence[Column], held: Sequence[bool], prediction: Floats, label: Codes,
        group: Codes, *, permutations: int, seed: int, learner: str = LEARNERS[0],
    ) -> GivenSample:  # fmt: skip
        """Take the images whose label and prediction are known.

        Args:
            columns: features of N images.
            held: which of them may be held fixed.
            prediction: (N, q).
            label: (N,) numbers, -1 where it is not known.
            group: (N,) numbers.
            permutations, seed, learner: see the class.
        """
        rows = np.flatnonzero((label >= 0) & np.isfinite(prediction).all(axis=1))
        score = standardised(normal_scores(prediction[rows]))
        encoded = [encode(column.of(rows)) for column in columns]
        own = _numbered(label[rows]), _numbered(group[rows])
        return cls(encoded, held, score, *own, permutations, seed, learner)

    @property
    def testable(self) -> bool:
        """Whether there are enough groups, and scores that vary."""
        enough = len(self.label) > 0 and int(self.group.max()) + 1 >= FEWEST_UNITS
        return enough and self.score.shape[1] > 0

    @cached_property
    def fold(self) -> Codes:
        """Fold of each image."""
        return assign_folds(self.group, self.label, FOLDS, self.seed)

    @cached_property
    def flips(self) -> Flips:
        """Signs that all features share."""
        return Flips.of(self.group, self.fold, self.permutations, self.seed)

    @cached_property
    def residuals(self) -> Residuals:
        """Regressions on the label and features."""
        return Residuals(self.tested, self.label, self.fold, self.learner)

    @cached_property
    def cluster(self) -> Codes:
        """Cluster of each feature, see `clusters`."""
        return clusters(self.tested)

    def rest(self, i: int) -> list[int]:
        """Name the features that are held fixed while feature i is tested against the rest.

        Not those of its cluster; and while it is tested whether a value is known, not the value.

        Args:
            i: a feature.
        """
        return [
            k for k, held in enumerate(self.held)
            if held and self.cluster[k] != self.cluster[i] and not self._tells(k, i)
        ]  # fmt: skip

    def others(self, i: int) -> list[int]:
        """Name the features that are held fixed while feature i is tested within its cluster.

        Args:
            i: a feature.
        """
        return [k for k, held in enumerate(self.held) if held and k != i and not self._tells(k, i)]

    def _tells(self, k: int, i: int) -> bool:
        """Whether feature k is known just where the yes/no feature i is so, or is not so.

        Such as the border of a lesion, which is not measured where the lesion is cut off: whether
        it is known says all of i.
        """
        about, known = self.tested[i].column, self.tested[k].column.known
        if about.aspect not in (ASPECT, "presence") or not about.known.all():
            return False
        shown = about.values > 0
        if any(one.all() or not one.any() for one in (shown, known)):
            return False
        return bool(abs(np.corrcoef(shown, known)[0, 1]) >= NEARLY_THE_SAME)

    def left(
        self, i: int, held: Sequence[int], *, boosted: bool = True
    ) -> tuple[Floats, Floats, float]:
        """Return the residuals of score (n, q) and feature i (n, c), NaN where it is not known, and
        the degrees of freedom that both regressions spent, their geometric mean.

        Args:
            i: a feature.
            held: features held fixed beside the label.
            boosted: whether trees may follow the ridge regression.
        """
        key = i, tuple(held)
        if boosted and key in self._known:
            return self._known[key]
        mine, q = self.tested[i], self.score.shape[1]
        both = np.concatenate([self.score, mine.tested], axis=1)
        trees = q + (1 if mine.first == 1 else 0) if boosted else 0
        left = self.residuals.of(both, held, boosted=trees)
        score, feature = left.values[:, :q], left.values[:, q:]
        spent = [part.mean() if len(part) else 0.0 for part in (left.spent[:q], left.spent[q:])]
        spare = np.nanvar(feature, axis=0) if len(feature) else np.zeros(0)
        feature = np.where(spare > _NOTHING_LEFT, feature, 0.0 * feature)
        found = score, feature, float(np.sqrt(spent[0] * spent[1]))
        if boosted:  # asked for again by `partial`; without trees many are asked for once
            self._known[key] = found
        return found

    def contributions(
        self, i: int, held: Sequence[int], *, boosted: bool = True
    ) -> Contributions | None:
        """Return what the units add to the covariances of feature i; None if nothing of it is left.

        Args:
            i: a feature.
            held: features held fixed beside the label.
            boosted: whether trees may follow the ridge regression.
        """
        score, feature, spent = self.left(i, held, boosted=boosted)
        if not np.nansum(np.square(feature)):
            return None
        predicted = standardised(np.nan_to_num(self.score - score))
        return Contributions.of(
            score,
            feature,
            self.tested[i].first,
            predicted,
            self.residuals.by_label,
            self.flips,
            spent,
        )

    def smallest_p(self, contributions: Sequence[Contributions]) -> Floats:
        """Return the least of the statistics' p-values under each pattern of signs: (1 + P,).

        Args:
            contributions: of one feature, or of several tested together.
        """
        if not contributions:
            return np.full(1 + self.permutations, np.nan)
        return smallest_p(Contributions.joined(list(contributions)).statistics(self.flips))

    def p_value(self, contributions: Sequence[Contributions]) -> float:
        """Return the p-value: the fraction of patterns of signs whose least p is as small.

        Args:
            contributions: of one feature, or of several tested together.
        """
        return fraction_as_small(self.smallest_p(contributions))

    def partial(self, i: int, held: Sequence[int], bootstrap: int, smallest: float) -> Partial:
        """Return how much feature i tells beyond what is held fixed.

        Args:
            i: a feature.
            held: features held fixed beside the label.
            bootstrap: replicates.
            smallest: partial correlation that matters.
        """
        score, feature, _ = self.left(i, held)
        first = feature[:, : self.tested[i].first]
        if not first.shape[1]:
            return NOTHING
        return partial_correlation(score, first, self.flips, bootstrap, smallest, self.seed)


def _numbered(values: Codes) -> Codes:
    """Number what occurs from 0."""
    return np.asarray(np.unique(values, return_inverse=True)[1].reshape(-1), dtype=np.intp)
