"""What edits did to the scores, against what their controls did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.stats.adjust import upper_p
from xattn.stats.codes import group_codes
from xattn.stats.resampling import mean_interval

Array = NDArray[np.float64]

ROUNDING = 1e-6
"""A change that is no larger, relative to the scores, is none: float32 carries 7 digits."""


def settled(changes: Array, scores: Array) -> Array:
    """Set changes to 0 that are nothing but rounding, whose sign would count as a tie broken."""
    size = max(1.0, float(np.nanmax(np.abs(scores), initial=0.0)))
    result: Array = np.where(np.abs(changes) <= ROUNDING * size, 0.0, changes)
    return result


@dataclass(frozen=True)
class Scores:
    """Scores of n images before and after an edit, and after its control.

    Attributes:
        before, after: (n,) decision scores.
        control, compared: (n,) after and before the control's edit; `control` NaN without one.
        flipped, control_flipped: (n,) whether the predicted class changed.
        borrowed: (n,) whether another image lent itself to the control.
        groups: (n,) of any kind; images of one group count as dependent.
    """

    before: Array
    after: Array
    control: Array
    compared: Array
    flipped: NDArray[np.bool_]
    control_flipped: NDArray[np.bool_]
    borrowed: NDArray[np.bool_]
    groups: NDArray[Any]

    def to_row(self, permutations: int, bootstrap: int, seed: int) -> dict[str, Any]:
        """Return the numbers of a row of interventions.csv, all but the adjusted p-value.

        `p_value` asks whether edit and control change the score alike: under that null, which of
        the two is called the control is chance, so their difference may change its sign, group by
        group (two-sided, on the mean). `p_mcnemar` asks the same of the flips (exact McNemar).
        Both use the images that have a control.
        """
        change = settled(self.after - self.before, self.before)
        control_change = settled(self.control - self.compared, self.before)
        paired = ~np.isnan(self.control)
        low, high = self._interval(change, bootstrap, seed)
        excess = settled(change - control_change, self.before)[paired]
        number = group_codes(self.groups[paired], int(paired.sum()))
        excess_low, excess_high = np.nan, np.nan
        if paired.any():
            excess_low, excess_high = mean_interval(excess, number, bootstrap, seed)
        return {
            "n": len(change),
            "n_control": int(paired.sum()),
            "n_borrowed": int(self.borrowed[paired].sum()),
            "groups": len(np.unique(group_codes(self.groups, len(change)))),
            "delta_logit": _mean(change),
            "delta_low": low,
            "delta_high": high,
            "abs_delta_logit": _mean(np.abs(change)),
            "flip_rate": _mean(self.flipped),
            "control_delta_logit": _mean(control_change[paired]),
            "control_abs_delta_logit": _mean(np.abs(control_change[paired])),
            "control_flip_rate": _mean(self.control_flipped[paired]),
            "excess_logit": _mean(excess),
            "excess_low": excess_low,
            "excess_high": excess_high,
            "p_value": sign_flip_p(excess, number, permutations, seed),
            "p_mcnemar": mcnemar_p(self.flipped[paired], self.control_flipped[paired]),
        }

    def _interval(self, values: Array, bootstrap: int, seed: int) -> tuple[float, float]:
        return mean_interval(values, group_codes(self.groups, len(values)), bootstrap, seed)


def sign_flip_p(
    difference: Array, group: NDArray[np.intp], permutations: int = 999, seed: int = 0
) -> float:
    """Return the two-sided p-value of a mean of 0, the signs of whole groups being exchangeable.

    Exact under the null that each group's differences are as likely with the opposite sign
    (Fisher's randomisation test). NaN below two groups.

    Args:
        difference: (n,).
        group: (n,) numbers.
        permutations: sign patterns drawn; p is at least 1 / (1 + permutations).
        seed: same seed, same p.
    """
    _, number = np.unique(group, return_inverse=True)
    groups = int(number.max()) + 1 if len(number) else 0
    if groups < 2 or not np.any(difference):
        return np.nan if groups < 2 else 1.0
    sums = np.bincount(number.reshape(-1), difference)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, groups))
    means = np.abs(np.concatenate([[sums.sum()], signs @ sums]))
    return float(upper_p(means))


def mcnemar_p(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the exact McNemar p-value of two yes/no outcomes (n,) of the same images; NaN of none.

    Takes images as independent.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    if not len(first):
        return np.nan
    table = np.zeros((2, 2), dtype=int)
    np.add.at(table, (first.astype(int), second.astype(int)), 1)
    return float(mcnemar(table, exact=True).pvalue)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else np.nan
