"""How good predictions are, with the uncertainty that few patients leave.

Every score takes weights of the images, so that all resamples of a bootstrap are one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number and its bootstrap interval (percentiles, 95 %)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FindingScore:
    """How well one of several independent findings is told.

    Attributes:
        n: images of which it is known.
        shown: those of them that show it.
        auc: area under the ROC curve, [0, 1]; NaN if all show it, or none.
    """

    n: int
    shown: int
    auc: Estimate


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier on one set of images.

    Attributes:
        n: number of images.
        groups: number of groups that were resampled.
        chance: balanced accuracy of guessing; that of AUC is 0.5.
        balanced_accuracy: mean over classes of the fraction that was predicted right, [0, 1].
        auc: area under the ROC curve, [0, 1]; with more than two classes the mean of each class
            against the rest.
        sensitivity: class -> fraction of its images that was predicted as it.
        findings: of independent findings each; the scores above are then means over them.
    """

    n: int
    groups: int
    chance: float
    balanced_accuracy: Estimate
    auc: Estimate
    sensitivity: dict[str, Estimate]
    findings: dict[str, FindingScore] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        """Return one flat row: n, groups, chance, <score>, <score>_low, <score>_high, ..."""
        row: dict[str, Any] = {"n": self.n, "groups": self.groups, "chance": self.chance}
        named = {"balanced_accuracy": self.balanced_accuracy, "auc": self.auc}
        named |= {f"sensitivity_{name}": one for name, one in self.sensitivity.items()}
        named |= {f"auc_{name}": one.auc for name, one in self.findings.items()}
        for name, finding in self.findings.items():
            row |= {f"n_{name}": finding.n, f"shown_{name}": finding.shown}
        for name, one in named.items():
            row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
        return row


def score(
    logits: Floats,
    labels: NDArray[np.intp],
    classes: Sequence[str],
    groups: Sequence[str | int],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Scores:
    """Score predictions, with intervals from a bootstrap over groups.

    Whole groups are drawn with replacement, since images of one lesion or patient are no
    independent evidence. Resamples that lack a class are passed over.

    Args:
        logits: (n, classes).
        labels: (n,), class indices; every class occurs.
        classes: names.
        groups: (n,), what is resampled.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        Each score with its 95 % percentile interval.
    """
    one = np.ones((1, len(labels)))
    hits = sensitivities(logits, labels, one)[0]
    drawn = [
        (sensitivities(logits, labels, weights), auc(logits, labels, weights))
        for weights in resampled(groups, resamples, seed)
    ]
    hits_drawn, auc_drawn = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return Scores(
        n=len(labels),
        groups=len(set(groups)),
        chance=1 / len(classes),
        balanced_accuracy=estimate(float(hits.mean()), hits_drawn.mean(1)),
        auc=estimate(float(auc(logits, labels, one)[0]), auc_drawn),
        sensitivity={
            name: estimate(float(hits[c]), hits_drawn[:, c]) for c, name in enumerate(classes)
        },
    )


def sensitivities(logits: Floats, labels: NDArray[np.intp], weights: Floats) -> Floats:
    """Return the fraction (b, classes) of each class's weight that is predicted right.

    Args:
        logits: (n, classes).
        labels: (n,).
        weights: (b, n), not negative. A class without weight gives NaN.
    """
    is_class = np.eye(logits.shape[1])[labels]  # (n, classes)
    right = is_class * (logits.argmax(1) == labels)[:, None]
    with np.errstate(invalid="ignore"):
        fraction: Floats = (weights @ right) / (weights @ is_class)
    return fraction


def auc(logits: Floats, labels: NDArray[np.intp], weights: Floats) -> Floats:
    """Return the area under the ROC curve (b,), ties counted half.

    With two classes it is that of the second; with more, the mean of each against the rest.
    Classes are ranked by their logit minus the log-sum-exp of the others, which orders images as
    the class's probability does without its rounding to 1.

    Args:
        logits: (n, classes).
        labels: (n,).
        weights: (b, n), not negative. A class without weight gives NaN.
    """
    n_classes = logits.shape[1]
    wanted = [1] if n_classes == 2 else range(n_classes)
    each = [auc_of(margin(logits, c), labels == c, weights) for c in wanted]
    area: Floats = np.mean(each, axis=0)
    return area


def margin(logits: Floats, c: int) -> Floats:
    """Return a class's logit minus the log-sum-exp of the others, (n,): its log-odds.

    Args:
        logits: (n, classes).
        c: number of the class.
    """
    others = np.delete(logits, c, axis=1)
    return np.asarray(logits[:, c] - np.logaddexp.reduce(others, axis=1))


def auc_of(values: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the area under the ROC curve (b,) of values (n,) under weights (b, n).

    Args:
        values: (n,), large means positive.
        positive: (n,).
        weights: (b, n), not negative.

    Returns:
        (b,), each in [0, 1]; NaN where one side has no weight.
    """
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))  # of runs of equal values
    ranked = weights[:, order]
    pos = np.add.reduceat(ranked * positive[order], starts, axis=1)
    neg = np.add.reduceat(ranked * ~positive[order], starts, axis=1)
    below = np.cumsum(neg, axis=1) - neg / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (pos * below).sum(1) / (pos.sum(1) * neg.sum(1))
    return area


def resampled(groups: Sequence[str | int], resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each image is drawn, (b, n) at a time, `resamples` rows in all.

    Args:
        groups: (n,), drawn as wholes with replacement.
        resamples: how many.
        seed: what chance follows from.
    """
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    n = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    step = max(1, 2**22 // len(group))  # 32 MB a chunk
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=rows)
        yield drawn[:, group].astype(np.float64)


def estimate(value: float, drawn: Floats) -> Estimate:
    """Return a value with the percentile interval of its resamples (b,), NaN where there is none.

    Args:
        value: as observed.
        drawn: of the resamples; those that are not finite are passed over.
    """
    kept = drawn[np.isfinite(drawn)]
    if not kept.size:
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
