"""Whether probabilities mean what they say: calibration errors and the reliability diagram.

Calibration here is that of the predicted class: among images predicted with confidence 0.8, are
80 % right? Confidence is the largest probability, between 1 / classes and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats

BINS = 15
"""As in Guo et al. 2017 (arXiv:1706.04599)."""

DRAWS = 500
"""Made-up sets of labels behind what a calibrated model would show."""


@dataclass(frozen=True)
class Binned:
    """Images in bins of confidence.

    Attributes:
        confidence: (n,) probability of the predicted class.
        hit: (n,) whether the prediction is right.
        edges: (bins + 1,) ascending; a bin holds its upper edge.
    """

    confidence: Floats
    hit: NDArray[np.bool_]
    edges: Floats

    @cached_property
    def member(self) -> NDArray[np.bool_]:
        """Which image is in which bin, (n, bins)."""
        bins = len(self.edges) - 1
        index = np.searchsorted(self.edges[1:-1], self.confidence, side="left")
        return np.asarray(index[:, None] == np.arange(bins))

    @cached_property
    def excess(self) -> Floats:
        """Each image's confidence - hit in the column of its bin, (n, bins).

        Summed over images under some weights, made absolute and summed over bins, this is the
        calibration error times the sum of weights.
        """
        values: Floats = self.member * (self.confidence - self.hit)[:, None]
        return values

    def expected(self, seed: int) -> NDArray[np.float64]:
        """Return accuracies (draws, bins) that a calibrated model would show on these images.

        Hits are drawn from the confidences (consistency resampling, Broecker and Smith 2007), as
        if images were independent. Empty bins are NaN.

        Args:
            seed: same seed, same draws.
        """
        rng = np.random.default_rng(seed)
        drawn = rng.random((DRAWS, len(self.confidence)), dtype=np.float32) < self.confidence
        sums = drawn.astype(np.float32) @ self.member.astype(np.float32)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / self.member.sum(axis=0), dtype=np.float64)

    def expected_errors(self, seed: int) -> Floats:
        """Return calibration errors (draws,) that a calibrated model would show on these images.

        They are not 0: bins of few images are off by chance.

        Args:
            seed: same seed, same draws.
        """
        n = self.member.sum(axis=0)
        mean = self.member.T @ self.confidence / np.maximum(n, 1)
        off = np.abs(np.nan_to_num(self.expected(seed)) - mean) * n
        return np.asarray(off.sum(axis=1) / max(1, n.sum()))


def equal_width(confidence: Floats, hit: NDArray[np.bool_], bins: int = BINS) -> Binned:
    """Bin by confidence, [0, 1] cut into equal parts; most bins of a binary model are empty.

    Args:
        confidence: (n,) probability of the predicted class.
        hit: (n,) whether the prediction is right.
        bins: how many.

    Returns:
        The images in their bins.
    """
    return Binned(confidence, hit, np.linspace(0, 1, bins + 1))


def equal_mass(confidence: Floats, hit: NDArray[np.bool_], bins: int = BINS) -> Binned:
    """Bin by confidence so that every bin holds as many images (Nguyen and O'Connor 2015).

    Ties may leave fewer bins; so do few images, for a bin has at least ten.

    Args:
        confidence: (n,) probability of the predicted class.
        hit: (n,) whether the prediction is right.
        bins: how many at most.

    Returns:
        The images in their bins.
    """
    bins = max(1, min(bins, len(confidence) // 10))
    inner = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]))
    return Binned(confidence, hit, np.concatenate([[0.0], inner[inner < 1], [1.0]]))


def calibration_error(weighted_excess: Floats, total: Floats) -> Floats:
    """Return the expected calibration error (K,), in [0, 1].

    The mean over images of |accuracy - mean confidence| of their bin.

    Args:
        weighted_excess: (K, bins), `Binned.excess` summed under K weightings.
        total: (K,) sums of the weights.
    """
    error: Floats = np.abs(weighted_excess).sum(axis=1) / total
    return error
