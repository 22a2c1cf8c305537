"""The computed features: a dict of cards, filled by a decorator on each measuring function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xattn.features.computed.subject import Subject, UnmeasurableError


@dataclass(frozen=True)
class Card:
    """One computed feature.

    Attributes:
        name: name of its column.
        unit: of its values; "1" for a ratio.
        low, high: range; infinite where there is no bound.
        whole: whether the lesion must lie wholly in the picture.
        source: paper that the feature comes from.
        meaning: one line.
        function: subject -> value; raises `UnmeasurableError`.
        kind: of the feature, as in the tables.
        needs_lesion: whether it needs a lesion mask.
    """

    name: str
    unit: str
    low: float
    high: float
    whole: bool
    source: str
    meaning: str
    function: Callable[[Subject], float]
    kind: str = "computed"
    needs_lesion: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain JSON values, without the function."""
        facts = asdict(self)
        del facts["function"]
        return facts | {k: None for k in ("low", "high") if not np.isfinite(facts[k])}

    def __call__(self, subject: Subject) -> float:
        """Measure one picture.

        Raises:
            UnmeasurableError: it cannot be done here, for the reason in the message.
        """
        if self.whole and subject.cut:
            raise UnmeasurableError("the lesion reaches the edge of the picture")
        return float(self.function(subject))


MEASURES: dict[str, Card] = {}
"""By name, in the order of the tables."""


def measure(
    name: str,
    *,
    unit: str,
    source: str,
    meaning: str,
    low: float = 0.0,
    high: float = np.inf,
    whole: bool = False,
) -> Callable[[Callable[[Subject], float]], Callable[[Subject], float]]:
    """Register a measuring function; see `Card` for the arguments."""

    def register(function: Callable[[Subject], float]) -> Callable[[Subject], float]:
        MEASURES[name] = Card(name, unit, low, high, whole, source, meaning, function)
        return function

    return register


def measure_all(subject: Subject) -> tuple[dict[str, float], dict[str, str]]:
    """Return every computed feature by name, NaN where it cannot be measured, and why not."""
    values, reasons = dict.fromkeys(MEASURES, np.nan), {}
    for name, card in MEASURES.items():
        try:
            values[name] = card(subject)
        except UnmeasurableError as err:
            reasons[name] = str(err)
    return values, reasons
