"""Interventions class by class: what an edit does to each class's score, and to which decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.outcome import settled
from xattn.analysis.positive import Positive
from xattn.stats.codes import group_codes
from xattn.stats.resampling import mean_interval
from xattn.stats.sign_flip import sampled_sign_flip_p

Logits = NDArray[np.float64]
Classes = NDArray[np.intp]

BEFORE, AFTER, CONTROL, COMPARED = range(4)
"""Where the images of a trial lie: before and after its edit, after and before the control's."""


@dataclass(frozen=True)
class Answers:
    """What a model said of n edited images.

    Attributes:
        logits: (n, 4, classes): before, after, of the control, and of what that was before; the
            last two are NaN where there is no control.
        groups: (n,) of any kind.
        positive: which classes are told apart.
    """

    logits: Logits
    groups: NDArray[Any]
    positive: Positive

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Which images have a control, (n,)."""
        return np.asarray(~np.isnan(self.logits[:, CONTROL]).any(axis=1))

    @property
    def said(self) -> Classes:
        """Side that each image was decided for, (n, 4); 0 where there is no control."""
        best = np.nan_to_num(self.logits, nan=-np.inf).argmax(axis=2)
        return np.asarray(self.positive.side_of[best], dtype=np.intp)

    def changes(self, control: bool = False) -> str:
        """Say which decisions changed, the most frequent first: "nv → mel: 4; nv → bkl: 1".

        Args:
            control: of the control's edits instead.

        Returns:
            One text, "" for no change.
        """
        rows = self.paired if control else np.ones(len(self.logits), dtype=bool)
        before, after = _ends(self.said[rows], control)
        names = self.positive.sides
        moved = [(names[a], names[b]) for a, b in zip(before, after, strict=True) if a != b]
        counted = {pair: moved.count(pair) for pair in dict.fromkeys(moved)}
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        return "; ".join(f"{a} → {b}: {n}" for (a, b), n in ordered)

    def rows(self, permutations: int, bootstrap: int, seed: int) -> Iterator[dict[str, Any]]:
        """Give a row for each class: what the edit did to its log odds, and to decisions for it.

        Args:
            permutations: sign patterns behind each p-value.
            bootstrap: replicates behind each interval.
            seed: same seed, same rows.
        """
        paired, number = self.paired, group_codes(self.groups, len(self.logits))
        said, beside = _ends(self.said, False), _ends(self.said[paired], True)
        for i, name in enumerate(self.positive.classes):
            with np.errstate(invalid="ignore"):  # without a control there are no logits of it
                odds = Positive.of(self.positive.classes, [name]).log_odds(self.logits)
            first = odds[:, BEFORE]
            change = settled(odds[:, AFTER] - first, first)
            elsewhere = settled(odds[:, CONTROL] - odds[:, COMPARED], first)[paired]
            excess = settled(change[paired] - elsewhere, first)
            yield {
                "class": name,
                "n": len(change),
                "n_control": int(paired.sum()),
                **_with_interval("delta", change, number, bootstrap, seed),
                "control_delta_logit": _mean(elsewhere),
                **_with_interval("excess", excess, number[paired], bootstrap, seed),
                "p_value": sampled_sign_flip_p(excess, number[paired], permutations, seed),
                **dict(zip(("gained", "lost"), _moved(*said, i), strict=True)),
                **dict(zip(("control_gained", "control_lost"), _moved(*beside, i), strict=True)),
            }


def _ends(said: Classes, control: bool) -> tuple[Classes, Classes]:
    """Return decisions before and after the edit, or its control's."""
    first, last = (COMPARED, CONTROL) if control else (BEFORE, AFTER)
    return said[:, first], said[:, last]


def _moved(before: Classes, after: Classes, i: int) -> tuple[int, int]:
    """Return how many decisions came to a class, and how many left it."""
    return int(((before != i) & (after == i)).sum()), int(((before == i) & (after != i)).sum())


def _with_interval(
    what: str,
    values: NDArray[np.float64],
    group: Sequence[int] | Classes,
    bootstrap: int,
    seed: int,
) -> dict[str, float]:
    low, high = np.nan, np.nan
    if len(values):
        low, high = mean_interval(values, np.asarray(group), bootstrap, seed)
    return {f"{what}_logit": _mean(values), f"{what}_low": low, f"{what}_high": high}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else np.nan
