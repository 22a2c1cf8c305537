"""What one conditional independence test says, with effect sizes beside its p-value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xattn.notebook import facts_html
from xattn.stats.arrays import Floats
from xattn.stats.permutation import Stratum

_GIVEN = ("p_given", "effect_given", "effect_given_low", "effect_given_high", "p_equivalent")
"""What the result of one test says given other features; of a table, see `given.table`."""


@dataclass(frozen=True)
class UsageResult:
    """Outcome of one conditional independence test.

    Attributes:
        feature: name of what was tested.
        kind: structure, artifact, metadata, computed or control.
        test: statistic(aspect), e.g. "rank(presence)"; of several the decision, "min-p(presence)".
        n: images tested: label, prediction and feature known, and their group exchangeable.
        groups: number of groups among them.
        strata_dropped: groups of a composition that no other group has, which cannot be permuted.
        statistic: in [0, 1], 0 without dependence; for several tests, the least of their p-values.
        p_value: exact; NaN where nothing could be tested, for the reason in `note`.
        effect_bits: I(prediction; feature | label) in bits, its excess by chance subtracted.
        effect_low: lower end of its 95 % bootstrap interval over groups.
        effect_high: upper end.
        rank_effect: in [-1, 1], see `effects.rank_effect`.
        rank_effect_error: about the standard error it would have if nothing depended.
        variance_share: of the variance of the prediction's ranks within labels, what the feature
            explains; at most 1, see `variance`.
        variance_low: lower end of its 95 % bootstrap interval over groups.
        variance_high: upper end.
        smallest_p: the least p-value that could have come out.
        p_given: of the same question with `given` held fixed beside the label; NaN if not asked.
        effect_given: partial correlation given these, in [-1, 1], see `given.effect`.
        effect_given_low: lower end of its 95 % bootstrap interval over groups.
        effect_given_high: upper end.
        p_equivalent: p-value of the effect given these being 0.15 or more, in either direction;
            small where the feature adds less than that.
        p_by_test: p-value of each statistic by itself.
        p_permuted: (1 + P,) the p-value that each permutation would have had, the observed first;
            NaN if there are none or the drawing stopped early.
        note: why there is no result, else empty.
    """

    feature: str
    kind: str
    test: str
    n: int
    groups: int
    strata_dropped: tuple[Stratum, ...]
    statistic: float
    p_value: float
    effect_bits: float
    effect_low: float
    effect_high: float
    rank_effect: float
    rank_effect_error: float
    variance_share: float
    variance_low: float
    variance_high: float
    smallest_p: float
    p_given: float = np.nan
    effect_given: float = np.nan
    effect_given_low: float = np.nan
    effect_given_high: float = np.nan
    p_equivalent: float = np.nan
    p_by_test: dict[str, float] = field(default_factory=dict)
    p_permuted: Floats = field(
        default_factory=lambda: np.full(1, np.nan), repr=False, compare=False
    )
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the row for feature_usage.csv, all but what needs the whole table."""
        left_out = {"p_by_test", "p_permuted", *_GIVEN}
        row = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**row, "strata_dropped": len(self.strata_dropped), "note": self.note or None}

    @property
    def verdict(self) -> str:
        """What this one test says at the level of 0.05; of several, their p-values are adjusted."""
        if np.isnan(self.p_value):
            return f"not tested: {self.note}"
        if self.p_value < 0.05:
            return "the prediction depends on it given the label (p < 0.05, this test alone)"
        return "no dependence given the label was shown (p >= 0.05, this test alone)"

    def _given_facts(self) -> dict[str, str]:
        if np.isnan(self.p_given):
            return {}
        size = f"{self.effect_given:.3f} ({self.effect_given_low:.3f} to "
        size += f"{self.effect_given_high:.3f}; by chance 0)"
        return {"p given the others": f"{self.p_given:.3g}", "partial correlation": size}

    def _repr_html_(self) -> str:
        about = {
            "verdict": self.verdict,
            "test": f"{self.test}, {self.n:,} images of {self.groups:,} groups",
        }
        if np.isnan(self.p_value):
            return facts_html(f"Usage of {self.feature}", about)
        variance = (
            f"{self.variance_share:.3f} ({self.variance_low:.3f} to {self.variance_high:.3f})"
        )
        bits = f"{self.effect_bits:.3g} bits (95 % interval {self.effect_low:.3g} to "
        bits += f"{self.effect_high:.3g}; by chance 0)"
        by_test = {f"p of {name}": f"{p:.3g}" for name, p in self.p_by_test.items()}
        return facts_html(
            f"Usage of {self.feature}",
            {
                **about,
                "p": f"{self.p_value:.3g} (at least {self.smallest_p:.3g})",
                **(by_test if len(by_test) > 1 else {}),
                "statistic": f"{self.statistic:.3g}",
                "effect": bits,
                "rank effect": f"{self.rank_effect:.3f} (-1 to 1; by chance 0)",
                "fraction of variance": variance,
                **self._given_facts(),
            },
        )
