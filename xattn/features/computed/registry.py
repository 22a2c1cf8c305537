"""The computed features by name, each registered by a decorator on its measuring function.

One idea a file, in this package:

    @computed_feature("name", unit="1", low=0, high=1, source="Author et al. 2020", meaning="...")
    def name(subject: Subject) -> float:
        ...

It takes part in `xattn feature-usage` by being registered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import NEUTRAL, Words
from xattn.registry import Registry, meaning_of

Measure = Callable[[Subject], float]


@dataclass(frozen=True)
class ComputedFeature:
    """One computed feature.

    Attributes:
        name: name of its column.
        unit: of its values; "1" for a ratio.
        low, high: range; infinite where there is no bound.
        whole: whether the lesion must lie wholly in the image.
        source: paper that the feature comes from.
        meaning: one line; `{lesion}` stands for the domain's word.
        function: subject -> value; raises `UnmeasurableError`.
        kind: of the feature, as in the tables.
        needs_lesion: whether it needs a lesion mask.
        domains: names of `xattn.images.domains.DOMAINS` that it is for; () for all.
    """

    name: str
    unit: str
    low: float
    high: float
    whole: bool
    source: str
    meaning: str
    function: Measure
    kind: str = "computed"
    needs_lesion: bool = True
    domains: tuple[str, ...] = ()

    def to_dict(self, words: Words = NEUTRAL) -> dict[str, Any]:
        """Return what is known of it as plain JSON values, without the function.

        Args:
            words: of the images' domain.
        """
        facts = asdict(self)
        del facts["function"]
        facts["meaning"] = words.put_into(self.meaning)
        facts["domains"] = list(self.domains)
        return facts | {k: None for k in ("low", "high") if not np.isfinite(facts[k])}

    def __call__(self, subject: Subject) -> float:
        """Measure one image.

        Raises:
            UnmeasurableError: it cannot be done here, for the reason in the message.
        """
        if self.needs_lesion and not subject.mask.any():
            raise UnmeasurableError(f"the {subject.words.lesion} mask is empty")
        if self.whole and subject.cut:
            raise UnmeasurableError(f"the {subject.words.lesion} reaches the edge of the image")
        return float(self.function(subject))


COMPUTED_FEATURES: Registry[ComputedFeature] = Registry(
    "computed feature", package="xattn.features.computed", first=("border", "shape")
)
"""By name, in the order of the tables."""


def computed_feature(
    name: str,
    *,
    unit: str,
    source: str,
    meaning: str = "",
    low: float = 0.0,
    high: float = np.inf,
    whole: bool = False,
    needs_lesion: bool = True,
    domains: tuple[str, ...] = (),
) -> Callable[[Measure], Measure]:
    """Register a measuring function; see `ComputedFeature` for the arguments."""
    return COMPUTED_FEATURES.register(
        name,
        lambda function: ComputedFeature(
            name,
            unit,
            low,
            high,
            whole,
            source,
            meaning_of(function, meaning),
            function,
            needs_lesion=needs_lesion,
            domains=domains,
        ),
    )


def measure_all(
    subject: Subject, names: Collection[str] | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return computed features by name, NaN where one cannot be measured, and why not.

    Args:
        subject: image and lesion.
        names: of the features; None for all.
    """
    wanted = COMPUTED_FEATURES if names is None else names
    values, reasons = dict.fromkeys(wanted, np.nan), {}
    for name in wanted:
        try:
            values[name] = COMPUTED_FEATURES[name](subject)
        except UnmeasurableError as err:
            reasons[name] = str(err)
    return values, reasons
