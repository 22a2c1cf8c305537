"""What can and cannot be concluded of a pair of models, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from xattn.stats.two_samples import Belief, DifferenceTest

SURE = 0.95
"""Probability from which the posterior decides."""

_TESTS = {"mcnemar": "McNemar", "delong": "DeLong"}
_MEASURED_BY = {"mcnemar": "accuracy", "delong": "AUC"}


@dataclass(frozen=True)
class PairFinding:
    """What is known of one pair on one split, for one metric.

    Attributes:
        a, b, split, metric: what was compared.
        seeds: number of seeds of a and of b.
        welch: the test over seeds.
        p_adjusted: its p-value after Holm's adjustment.
        smallest: the difference that these seeds find with 80 % power; NaN if not known.
        belief: posterior of the difference, or None.
        rope: half-width of the region of practical equivalence.
        over_images: name -> test on the same images, and its adjusted p-value.
        alpha: level.
        lower_is_better: of the metric.
    """

    a: str
    b: str
    split: str
    metric: str
    seeds: tuple[int, int]
    welch: DifferenceTest
    p_adjusted: float
    smallest: float
    belief: Belief | None
    rope: float
    over_images: Mapping[str, tuple[DifferenceTest, float]]
    alpha: float
    lower_is_better: bool = False


def verdict(difference: float, p_adjusted: float, alpha: float, lower_is_better: bool) -> str:
    """Return better or worse (a than b), undecided, or untestable.

    Args:
        difference: a minus b, in units of the metric.
        p_adjusted: NaN where nothing could be tested.
        alpha: level.
        lower_is_better: of the metric.
    """
    if math.isnan(p_adjusted):
        return "untestable"
    if p_adjusted >= alpha or difference == 0:
        return "undecided"
    return "better" if (difference > 0) != lower_is_better else "worse"


def verdict_of_belief(belief: Belief | None, lower_is_better: bool) -> str:
    """Return better, worse, equivalent, undecided, or untestable.

    Args:
        belief: posterior of a minus b, None where there is none.
        lower_is_better: of the metric.
    """
    if belief is None:
        return "untestable"
    if belief.within >= SURE:
        return "equivalent"
    if max(belief.above, belief.below) < SURE:
        return "undecided"
    return "better" if (belief.above >= SURE) != lower_is_better else "worse"


def sentence(finding: PairFinding) -> str:
    """Say what the seeds tell of the architectures, then what the images tell of the networks.

    Args:
        finding: what is known of one pair.

    Returns:
        One sentence.
    """
    f = finding
    d = f.welch.difference
    size = f"is {abs(d):.3f} {'higher' if d > 0 else 'lower'}"
    if abs(d) < 0.0005:
        size = "differs by less than 0.001"
    start = f"{f.a} against {f.b} on {f.split}: {readable(f.metric)}"
    return f"{start} {size}{_of_seeds(f)}; {_of_images(f)}."


def _of_seeds(f: PairFinding) -> str:
    if min(f.seeds) < 2:
        return (
            f", but {_seeds(f)} cannot resolve whether that is due to the architecture or to the "
            "seed: train at least two of each"
        )
    if math.isnan(f.welch.p_value):
        return ", but the seeds of each are all alike, so that nothing can be tested"
    facts = (
        f" (95 % interval {f.welch.low:.3f} to {f.welch.high:.3f}, adjusted p {_p(f.p_adjusted)}, "
        f"{_seeds(f)})"
    )
    if f.p_adjusted < f.alpha:
        better = verdict(f.welch.difference, f.p_adjusted, f.alpha, f.lower_is_better)
        return (
            f"{facts}: {f.a} is {better}, and would be expected to be if trained again on these "
            f"data{_size(f)}"
        )
    if f.belief is not None and f.belief.within >= SURE:
        return (
            f"{facts}: the two are equivalent for practical purposes, within {f.rope:g} with "
            f"probability {f.belief.within:.2f}"
        )
    if f.smallest > 1 and f.metric != "log_loss":
        return f"{facts}: not enough seeds to tell; at this spread they could show no difference"
    return (
        f"{facts}: not enough seeds to tell; at this spread they show a difference of "
        f"{f.smallest:.3f} with 80 % power, and smaller ones less often"
    )


def _size(f: PairFinding) -> str:
    if f.belief is None or not f.rope:
        return ""
    more = max(f.belief.above, f.belief.below)
    return f", by more than {f.rope:g} with probability {more:.2f}"


def _of_images(f: PairFinding) -> str:
    told = " and ".join(f"{_TESTS[t]} p {_p(p)}" for t, (_, p) in f.over_images.items())
    sure = {t: o.difference > 0 for t, (o, p) in f.over_images.items() if p < f.alpha}
    ways = set(sure.values())
    if not ways:
        return f"on these images the trained networks themselves do not differ for certain ({told})"
    if len(ways) == 2:
        return f"on these images one model's networks lead in accuracy, the other's in AUC ({told})"
    name = f.a if ways.pop() else f.b
    where = " and ".join(_MEASURED_BY[t] for t in sure)
    return f"on these images the trained networks of {name} lead in {where} ({told})"


def _seeds(f: PairFinding) -> str:
    a, b = f.seeds
    if a == b:
        return "one seed each" if a == 1 else f"{a} seeds each"
    return f"{a} and {b} seeds"


def _p(p: float) -> str:
    if math.isnan(p):
        return "unknown"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def readable(metric: str) -> str:
    """Return a metric's name as it stands in a text.

    Args:
        metric: its name.
    """
    return {"auc": "AUC", "ece": "calibration error"}.get(metric, metric.replace("_", " "))
