"""What a graded edit did to the features themselves: to its own, and to all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xattn.analysis.interventions.doses.jobs import DoseJob
from xattn.analysis.interventions.doses.trials import DoseTrial
from xattn.features.feature_set import FeatureSet

NOTED = 0.2
"""A computed feature that changes by so many of its standard deviations is named."""


def measured(
    job: DoseJob, trials: Sequence[DoseTrial], features: FeatureSet
) -> dict[float, dict[str, Any]]:
    """Return by dose the feature's mean value before and after, and what else changed.

    Args:
        job: the edit.
        trials: what was edited; the first of them carry values.
        features: of the run, whose spread is the scale of a change.
    """
    own = [t.values for t in trials if t.values]
    control = [t.control_values for t in trials if len(t.control_values) > 1]
    others = [t.others for t in trials if t.others]
    result = {}
    for dose in job.edit.doses:
        before, after = _means(own, dose)
        was, then = _means(control, dose)
        result[dose] = {
            "value_before": before,
            "value_after": after,
            "control_value_change": then - was,
            "value_sd": _spread(features, job.edit.feature),
            "others": _others(job, others, dose, features),
        }
    return result


def _spread(features: FeatureSet, name: str) -> float:
    """Return the standard deviation of a feature in the run; NaN of what is no number of it."""
    if name not in features.table or features.table[name].dtype == object:
        return np.nan
    return float(features.table[name].astype(np.float64).std())


def _means(values: Sequence[dict[float, float]], dose: float) -> tuple[float, float]:
    pairs = np.array([(v[0.0], v[dose]) for v in values if dose in v], dtype=np.float64)
    pairs = pairs.reshape(-1, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if not len(pairs):
        return np.nan, np.nan
    return float(pairs[:, 0].mean()), float(pairs[:, 1].mean())


def _others(
    job: DoseJob,
    found: Sequence[dict[float, dict[str, float]]],
    dose: float,
    features: FeatureSet,
) -> str | None:
    """Name the other computed features that the edit changed: "compactness -0.4 SD; ...".

    Returns:
        None at doses where they were not measured.
    """
    at = [one for one in found if dose in one]
    if not at:
        return None
    changes = []
    for name in at[0][0.0]:
        if name == job.edit.feature or name not in features.table:
            continue
        spread = _spread(features, name)
        moved = np.array([one[dose][name] - one[0.0][name] for one in at])
        moved = moved[~np.isnan(moved)]
        if len(moved) and spread > 0 and abs(size := float(moved.mean()) / spread) >= NOTED:
            changes.append((name, size))
    changes.sort(key=lambda item: -abs(item[1]))
    return "; ".join(f"{name} {size:+.1f} SD" for name, size in changes) or "none"
