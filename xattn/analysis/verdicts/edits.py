"""What edits of a feature say, single and graded, on one scale.

The scale is the standard deviation of the score within labels (`score_sd`), for the change of the
feature from absent to present, or of a number by two of its standard deviations in the run. Two,
because a number then counts as a yes/no feature does, whose two values lie about two of its
standard deviations apart (Gelman, Statistics in Medicine 2008).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.interventions.doses.effects import NOTED
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.analysis.interventions.shown import BY_DETECTOR, WHOLE
from xattn.features.computed.collect import DETECTED
from xattn.features.detected import DETECTORS, PRESENT

Row = dict[str, Any]

_LEAKS = 0.5
"""A control that changes the feature by so much of what the edit does is no control of it."""


@dataclass(frozen=True)
class Edit:
    """One edit of one feature.

    Attributes:
        name: of the edit.
        graded: whether it has doses.
        change, low, high: of the score, in its standard deviations, with the 95 % interval.
        p: adjusted p-value.
        flips: whether significantly more decisions flip than by the control.
        does: whether it is known to change the feature, by as much as is noted of any other.
        full: what the interval has to be multiplied with to hold for the whole feature: the inverse
            of the part of it that was changed; infinite where that part is not known, or so small
            that the rest would be a guess.
        more: direction of "more of the feature" in `change`, of edits that take it away or put it
            in: 1 or -1; else 0.
        beside: other computed features that it changes, with the changes in standard deviations of
            the run.
        own: the same of the feature itself; infinite of what is no number of the run.
        by_mask: whether the pixels of the feature, and no others, were changed.
        masks: whose masks were edited, or "".
        caveat: where it is known not to do what the feature does; or "".
    """

    name: str
    graded: bool
    change: float
    low: float
    high: float
    p: float
    flips: bool
    does: bool = True
    full: float = 1.0
    more: int = 0
    beside: tuple[tuple[str, float], ...] = ()
    own: float = np.inf
    by_mask: bool = True
    masks: str = ""
    caveat: str = ""

    def moves(self, alpha: float, smallest: float) -> bool:
        """Whether the score changes significantly, and by as much as matters."""
        return self.does and self.p < alpha and abs(self.change) >= smallest

    def still(self, smallest: float) -> bool:
        """Whether a change of the score that matters is ruled out, for the whole feature."""
        if self.caveat or not self.does:
            return False
        return bool(self.full * max(abs(self.low), abs(self.high)) < smallest)

    @property
    def changed_with(self) -> tuple[str, ...]:
        """Names of the other features that it changes."""
        return tuple(name for name, _ in self.beside)

    @property
    def mainly(self) -> bool:
        """Whether no other feature changes by more of its standard deviations than its own."""
        return all(abs(size) <= self.own for _, size in self.beside)


def edits_of(interventions: Sequence[Row], doses: Sequence[Row], alpha: float) -> list[Edit]:
    """Return what single and graded edits of a feature showed; those without numbers are left out.

    Args:
        interventions, doses: its rows of interventions.csv and doses.csv.
        alpha: level of McNemar's tests; of two extreme doses half of it each.
    """
    found = [_single(row, alpha) for row in interventions if pd.notna(row["p_value"])]
    graded: dict[str, list[Row]] = {}
    for row in [row for row in doses if pd.notna(row["p_value"])]:
        graded.setdefault(str(row["intervention"]), []).append(row)
    return found + [_graded(rows, alpha) for rows in graded.values()]


def _single(row: Row, alpha: float) -> Edit:
    scale = float(row["score_sd"])
    by_detector = row.get("masks") == BY_DETECTOR
    kind = INTERVENTIONS.get(str(row["intervention"]))
    return Edit(
        name=str(row["intervention"]),
        graded=False,
        change=float(row["excess_logit"]) / scale,
        low=float(row["excess_low"]) / scale,
        high=float(row["excess_high"]) / scale,
        p=float(row["p_adjusted"]),
        flips=_flips(row, alpha),
        full=_of_detected(str(row["feature"]), row) if by_detector else 1.0,
        more=0 if kind is None else -1 if kind.needs == "present" else 1,
        masks=_text(row.get("masks")),
    )


def _flips(row: Row, alpha: float) -> bool:
    more = row.get("flip_rate", np.nan) > row.get("control_flip_rate", np.nan)
    return bool(more and row.get("p_mcnemar", np.nan) < alpha)


def _of_detected(feature: str, row: Row) -> float:
    """Return `Edit.full` of what was done under a detector's masks.

    The detector itself must call the feature gone, and the control must leave it. But what it
    missed it misses still, so that this is not enough: its masks hold at least the fraction of the
    feature that their overlap with masks drawn by others is (IoU), where that was measured.
    """
    one = DETECTORS.get(feature.removesuffix(DETECTED))
    if one is None or not one.overlap:
        return np.inf
    before, after = float(row.get("value_before", np.nan)), float(row.get("value_after", np.nan))
    gone = before >= PRESENT > after
    kept = abs(row.get("control_value_change", np.nan)) < _LEAKS * (before - after)
    return 1 / one.overlap if gone and kept else np.inf


def _graded(rows: Sequence[Row], alpha: float) -> Edit:
    first = rows[0]
    doses = np.array([row["dose"] for row in rows], dtype=np.float64)
    ends = {int(doses.argmin())} if doses.max() < 0 else {int(doses.argmax())}
    ends |= {int(doses.argmin())} if doses.min() < 0 else set()
    extreme = [rows[i] for i in sorted(ends)]
    reach = max(0.0, float(doses.max())) - min(0.0, float(doses.min()))
    edit = GRADED_EDITS.get(str(first["intervention"]))
    computed = str(first.get("kind")) == "computed"
    gain, leak = _gain(rows, "value_after", "value_before"), _gain(rows, "control_value_change")
    own, span, full = np.inf, reach, 1.0
    by_mask = not computed and first.get("masks") != WHOLE
    removes = by_mask and doses.min() <= -1
    if computed or pd.notna(first.get("value_sd")):
        spread = float(first.get("value_sd", np.nan))
        own = gain * reach / spread if spread > 0 else np.nan
        span = min(reach, 2 * spread / gain) if gain > 0 else reach
        # Less than one standard deviation is not stretched to two.
        covered = own >= 1 and abs(leak) < _LEAKS * gain
        full = max(1.0, 2 / own) if covered else np.inf
    elif by_mask and not removes:
        full = np.inf  # larger, or elsewhere: it is there all the same
    elif first.get("masks") == BY_DETECTOR:
        full = _of_detected(str(first["feature"]), rows[int(doses.argmin())])
    elif not by_mask:
        full = 1.0 if gain > 0 and abs(leak) < _LEAKS * gain else np.inf
    scale = span / float(first["score_sd"])
    return Edit(
        name=str(first["intervention"]),
        graded=True,
        change=float(first["slope"]) * scale,
        low=float(first["slope_low"]) * scale,
        high=float(first["slope_high"]) * scale,
        p=float(first["p_adjusted"]),
        flips=any(_flips(row, alpha / len(extreme)) for row in extreme),
        does=bool(own >= NOTED),
        full=full,
        more=int(removes),
        beside=_beside(row.get("others") for row in rows),
        own=own,
        by_mask=by_mask,
        masks=_text(first.get("masks")),
        caveat="" if edit is None else edit.caveat,
    )


def _gain(rows: Sequence[Row], after: str, before: str = "") -> float:
    """Return by how much a value changes per unit of dose, by least squares; NaN if not known."""
    doses = np.array([row["dose"] for row in rows], dtype=np.float64)
    changes = np.array([row.get(after, np.nan) for row in rows], dtype=np.float64)
    if before:
        changes = changes - np.array([row.get(before, np.nan) for row in rows], dtype=np.float64)
    known = ~np.isnan(changes)
    if not known.any():
        return np.nan
    return float(changes[known] @ doses[known] / np.square(doses[known]).sum())


def _beside(cells: Iterable[Any]) -> tuple[tuple[str, float], ...]:
    """Read the column `others`: each name with its change from the smallest to the largest dose."""
    found: dict[str, list[float]] = {}
    for cell in cells:
        for name, size in re.findall(r"(\S+) ([+-][\d.]+) SD", str(cell)):
            found.setdefault(name, []).append(float(size))
    sizes = {name: max(0.0, *each) - min(0.0, *each) for name, each in found.items()}
    return tuple(sorted(sizes.items(), key=lambda item: -item[1]))


def _text(value: Any) -> str:
    return str(value) if pd.notna(value) else ""
