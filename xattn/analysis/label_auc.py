"""Whether a model tells the labels of the images that its features are measured on.

What moves the score of a network that did not learn the label is a fact about the score, and none
about the task: who reads the verdicts must know.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xattn.analysis.scored import Labelled
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS, group_weights, percentile_interval

CHANCE = 0.5
_BLOCK = 2**20


@dataclass(frozen=True)
class LabelAuc:
    """How well scores tell labels, by the area under the ROC curve.

    Attributes:
        value: of the positive class, or where each of several classes stands for itself the mean
            of each against the rest, over those with enough images; [0, 1], by chance 0.5.
        low, high: its 95 % interval, bootstrap over groups.
        n: images with a label.
        told: what is told from what, in words.
    """

    value: float
    low: float
    high: float
    n: int
    told: str

    @property
    def note(self) -> str:
        """Say in a line that the label is not shown to be told; "" where it is."""
        if not self.low <= CHANCE <= self.high:
            return ""
        return (
            f"On these {self.n:,} images the model is not shown to tell {self.told} (AUC "
            f"{self.value:.2f}, 95 % interval {self.low:.2f} to {self.high:.2f}; chance "
            f"{CHANCE:g}): the verdicts are of what moves a score that may say nothing of the label"
        )

    def to_record(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "note": self.note}


def label_auc(
    known: Labelled | None, groups: ArrayLike | None, bootstrap: int, seed: int
) -> LabelAuc | None:
    """Return how well a model's scores tell the labels, as far as that can be said.

    Args:
        known: predictions of images with a label; None of values, which are no classes.
        groups: (images of `known`,) group of each; None: every image stands alone.
        bootstrap, seed: replicates of the interval and their seed.

    Returns:
        None where images have no label or all the same, or are too few for an interval.
    """
    if known is None or len(set(known.outcomes.truth.tolist())) < 2:
        return None
    outcomes, n = known.outcomes, len(known.rows)
    group = group_codes(groups, n)
    if len(np.unique(group)) < FEWEST_GROUPS or bootstrap < 1:
        return None
    column = list(outcomes.metrics()).index("auc")
    weights = group_weights(group, n, bootstrap, seed)
    step = max(1, _BLOCK // n)
    blocks = [weights[k : k + step] for k in range(0, bootstrap, step)]
    drawn = np.concatenate([outcomes.weighted(block)[:, column] for block in blocks])
    low, high = percentile_interval(drawn)
    value = outcomes.weighted(np.ones((1, n), dtype=np.float32))[0, column]
    if not np.isfinite([value, low, high]).all():
        return None
    names = outcomes.classes
    told = "the classes apart"
    if outcomes.binary:
        told = f"{names[outcomes.positive]} from {names[1 - outcomes.positive]}"
    return LabelAuc(float(value), float(low), float(high), n, told)
