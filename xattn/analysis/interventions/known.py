"""What edits are worth, where the truth is known: on generated images, held against it.

`known.csv` is written by `python -m tests.analysis.counterfactuals`, which says how; the page
docs/feature-usage.md shows it. An edit is poor if the change of the score that it measures goes
with the true one too little, or is much smaller or larger.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.features.computed.collect import DETECTED

FILE = Path(__file__).with_name("known.csv")
LEAST_CORRELATION = 0.8
SLOPES = (0.67, 1.5)
"""Measured per true change; outside, an edit is poor."""
FEWEST_NETWORKS = 5
"""With fewer that learnt the feature, nothing is known of its edit."""


@dataclass(frozen=True)
class Known:
    """One edit of one feature, against the generator's rendering of the same.

    Attributes:
        domain: of the generated images.
        edit: name of a graded edit or an intervention.
        feature: of the generator: an artifact or structure, or what the edit changes.
        networks, learnt: trained, and those among them that learnt to see the feature.
        auc: with which they see it, mean over all.
        scenes, pairs: edited images, and those at all doses.
        true_sd: size of the true change, here as below in standard deviations of the score.
        correlation, slope: of the measured with the true change, and measured per true, means over
            networks, each with its 95 % interval over networks and scenes.
        sign_agreement: fraction of true changes above 0.1 whose sign the edit has.
        error_sd: root mean square of measured less true change.
        control_sd: the same of the control's change, which should be 0.
        others_sd: of measured less true change of scores of other features.
    """

    domain: str
    edit: str
    feature: str
    networks: int
    learnt: int
    auc: float
    scenes: int
    pairs: int
    true_sd: float
    correlation: float
    correlation_low: float
    correlation_high: float
    slope: float
    slope_low: float
    slope_high: float
    sign_agreement: float
    error_sd: float
    control_sd: float
    others_sd: float

    @property
    def is_known(self) -> bool:
        """Whether enough networks learnt the feature, and the edit could be done."""
        return self.learnt >= FEWEST_NETWORKS and self.slope == self.slope

    @property
    def is_poor(self) -> bool:
        """Whether the edit goes with the truth too little, or shows too little or too much."""
        low, high = SLOPES
        good = self.correlation >= LEAST_CORRELATION and low <= self.slope <= high
        return self.is_known and not good


@cache
def known() -> tuple[Known, ...]:
    """Return all that was held against the truth."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return tuple(map(_read, csv.DictReader(stream)))


def _read(row: dict[str, str]) -> Known:
    values: dict[str, Any] = {
        one.name: row[one.name] if one.type == "str" else _number(row[one.name])
        for one in fields(Known)
    }
    for name in ("networks", "learnt", "scenes", "pairs"):
        values[name] = int(values[name])
    return Known(**values)


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def known_of(edit: str, feature: str, domain: str | None = None) -> Known | None:
    """Return what is known of an edit of a feature; None if it was not held against a truth.

    Args:
        edit: name of a graded edit or an intervention.
        feature: what is edited, by its name in a run.
        domain: of the run; what is known of its own images comes first.
    """
    own = GRADED_EDITS[edit].feature if edit in GRADED_EDITS else ""
    name = feature.removesuffix(DETECTED)
    found = [one for one in known() if one.edit == edit and (own or one.feature == name)]
    return min(found, key=lambda one: one.domain != domain, default=None)


def caveats_of(edits: Iterable[tuple[str, str]], domain: str | None = None) -> list[str]:
    """Say which edits are poor where the truth is known, and of which nothing is known.

    Args:
        edits: pairs of edit and feature, as in doses.csv and interventions.csv.
        domain: of the run.
    """
    poor, unknown = dict[str, str](), dict[str, None]()
    for edit, feature in edits:
        graded = GRADED_EDITS.get(edit)
        what = edit if graded and graded.feature else f"{edit} of {feature}"
        one = known_of(edit, feature, domain)
        if one is None or not one.is_known:
            unknown[what] = None
        elif one.is_poor:
            why = f": {graded.caveat}" if graded and graded.caveat else ""
            poor[what] = f"{_poor(what, one)}{why}."
    if not unknown:
        return list(poor.values())
    return [
        *poor.values(),
        "Not held against a true change of the score, so that it is not known how good they are, "
        f"were the edits {', '.join(unknown)}.",
    ]


def _poor(what: str, one: Known) -> str:
    return (
        f"On generated images the edit {what} shows {one.slope:.2f} (95 % interval "
        f"{one.slope_low:.2f} to {one.slope_high:.2f}) of the true change of the score, with a "
        f"correlation of {one.correlation:.2f} ({one.learnt} networks)"
    )
