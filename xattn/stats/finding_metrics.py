"""How good the answers to independent questions are: each finding by itself, and their mean.

As `weighted_metrics`, with weights of the images, so that all resamples of a bootstrap are one
call. Of what is not known of an image nothing is scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats
from xattn.stats.weighted_metrics import (
    RESAMPLES,
    Estimate,
    FindingScore,
    Scores,
    auc_of,
    estimate,
    resampled,
)


def score_findings(
    logits: Floats,
    answers: NDArray[np.int8],
    findings: Sequence[str],
    groups: Sequence[str | int],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Scores:
    """Score independent predictions, with intervals from a bootstrap over groups.

    A finding that all images show, or none, has no score and counts in no mean. In a resample that
    lacks one side of a rare finding the mean is over the others.

    Args:
        logits: (n, findings).
        answers: (n, findings), 1 shown, 0 absent, -1 not known.
        findings: names.
        groups: (n,), what is resampled.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        Means over the findings, and each finding's area under the ROC curve, all with their 95 %
        percentile intervals. The balanced accuracy is that of a probability of one half.
    """
    one = np.ones((1, len(answers)))
    drawn = [measured(logits, answers, weights) for weights in resampled(groups, resamples, seed)]
    halves, areas = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    (half,), (area,) = measured(logits, answers, one)
    scored = np.isfinite(area)
    return Scores(
        n=len(answers),
        groups=len(set(groups)),
        chance=0.5,
        balanced_accuracy=_mean(half[scored], halves[:, scored]),
        auc=_mean(area[scored], areas[:, scored]),
        sensitivity={},
        findings={
            name: FindingScore(
                n=int((answers[:, c] >= 0).sum()),
                shown=int((answers[:, c] > 0).sum()),
                auc=estimate(float(area[c]), areas[:, c]),
            )
            for c, name in enumerate(findings)
        },
    )


def measured(logits: Floats, answers: NDArray[np.int8], weights: Floats) -> tuple[Floats, Floats]:
    """Return balanced accuracies at one half, and areas under ROC curves, each (b, findings).

    Args:
        logits: (n, findings).
        answers: (n, findings), 1 shown, 0 absent, -1 not known.
        weights: (b, n), not negative. A finding that lacks a side under them has NaN.
    """
    known, shown = answers >= 0, answers > 0
    said = logits > 0
    with np.errstate(invalid="ignore"):
        sensitivity = weights @ (shown & said) / (weights @ shown)
        specificity = weights @ (known & ~shown & ~said) / (weights @ (known & ~shown))
    areas = [
        auc_of(logits[known[:, c], c], shown[known[:, c], c], weights[:, known[:, c]])
        if known[:, c].any()
        else np.full(len(weights), np.nan)
        for c in range(answers.shape[1])
    ]
    return (sensitivity + specificity) / 2, np.stack(areas, axis=1)


def mean_scores(logits: Floats, answers: NDArray[np.int8]) -> tuple[float, float]:
    """Return balanced accuracy and area under the ROC curve, means over findings; NaN of none."""
    (half,), (area,) = measured(logits, answers, np.ones((1, len(answers))))
    scored = np.isfinite(area)
    if not scored.any():
        return float("nan"), float("nan")
    return float(half[scored].mean()), float(area[scored].mean())


def _mean(values: Floats, drawn: Floats) -> Estimate:
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    there = np.isfinite(drawn)
    counts = there.sum(axis=1)
    means = np.where(there, drawn, 0).sum(axis=1) / np.maximum(counts, 1)
    return estimate(float(values.mean()), np.where(counts > 0, means, np.nan))
