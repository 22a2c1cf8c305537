"""What edits did to the scores, against what their controls did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.stats.arrays import Floats
from xattn.stats.codes import group_codes
from xattn.stats.paired import exact_mcnemar_p
from xattn.stats.resampling import mean_interval
from xattn.stats.sign_flip import sampled_sign_flip_p

ROUNDING = 1e-6
"""A change that is no larger, relative to the scores, is none: float32 carries 7 digits."""


def settled(changes: Floats, scores: Floats) -> Floats:
    """Set changes to 0 that are nothing but rounding, whose sign would count as a tie broken.

    Args:
        changes: (n,) of a score.
        scores: (n,) the scores themselves.

    Returns:
        (n,) changes, those within `ROUNDING` of the largest score exactly 0.
    """
    size = max(1.0, float(np.nanmax(np.abs(scores), initial=0.0)))
    result: Floats = np.where(np.abs(changes) <= ROUNDING * size, 0.0, changes)
    return result


@dataclass(frozen=True)
class Scores:
    """Scores of n images before and after an edit, and after its control.

    Attributes:
        before, after: (n,) decision scores.
        control, compared: (n,) after and before the control's edit; `control` NaN without one.
        flipped, control_flipped: (n,) whether the predicted class changed.
        borrowed: (n,) whether the control edits another image.
        groups: (n,) of any kind; images of one group count as dependent.
    """

    before: Floats
    after: Floats
    control: Floats
    compared: Floats
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

        Args:
            permutations: sign patterns behind `p_value`.
            bootstrap: replicates behind each interval.
            seed: same seed, same row.
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
            "p_value": sampled_sign_flip_p(excess, number, permutations, seed),
            "p_mcnemar": exact_mcnemar_p(self.flipped[paired], self.control_flipped[paired]),
        }

    def _interval(self, values: Floats, bootstrap: int, seed: int) -> tuple[float, float]:
        return mean_interval(values, group_codes(self.groups, len(values)), bootstrap, seed)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else np.nan
