"""Which interventions on which features a run can have, and the images they can be done to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.editor import CONTROL, Job
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.analysis.interventions.shown import shown
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.domains import applies
from xattn.stats.seeds import generator_for

_SMALLEST, _LARGEST = 0.001, 0.5
"""Fraction of the view that a feature must cover to be pasted into another image."""


def jobs_of(features: FeatureSet, seed: int) -> list[Job]:
    """List what can be done, features in order, each with the images it could be done to.

    Args:
        features: of a run.
        seed: of the order of the images.
    """
    jobs = []
    for feature in features.masked:
        kind = "lesion" if feature == LESION else features.kinds[feature]
        area = features.table[f"{feature}.area"].to_numpy(dtype=np.float64)
        known = features.table[feature].to_numpy() if feature != LESION else None
        present = np.flatnonzero(area > 0)
        absent = np.flatnonzero(_absent(area, known))
        donors = np.flatnonzero((area > _SMALLEST) & (area < _LARGEST))
        for intervention in INTERVENTIONS.values():
            if kind not in intervention.features:
                continue
            if not applies(intervention.domains, features.domain):
                continue
            able = present if intervention.needs == "present" else absent
            rows = generator_for(seed, feature, intervention.name).permutation(able)
            kind_of = features.kinds[feature]
            jobs.append(Job(feature, kind_of, intervention, rows, donors, absent))
    jobs += _by_detectors(features, seed)
    artifacts = [j for j in jobs if j.kind == "artifact" and len(j.donors)]
    if artifacts:
        rows = generator_for(seed, CONTROL).permutation(len(features.table))
        donors = np.unique(np.concatenate([j.donors for j in artifacts]))
        inpaint = INTERVENTIONS["inpaint"]
        jobs.append(Job(CONTROL, "control", inpaint, rows, donors, rows[:0]))
    return jobs


def _by_detectors(features: FeatureSet, seed: int) -> Iterator[Job]:
    """Give what is done under the masks of detectors, to artifacts that have no others."""
    nobody = np.zeros(0, dtype=np.intp)
    for intervention in INTERVENTIONS.values():
        if not intervention.detected or not applies(intervention.domains, features.domain):
            continue
        for one in shown(features, intervention.features):
            if one.detector:
                order = generator_for(seed, one.feature, intervention.name).permutation(one.rows)
                yield Job(
                    one.feature, one.kind, intervention, order, nobody, one.without, one.detector
                )


def _absent(area: NDArray[np.float64], value: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Where the feature is known not to be: an empty mask, or no mask and the value 0."""
    by_mask = np.asarray(area == 0)
    if value is None or value.dtype == object:
        return by_mask
    said = np.asarray(value, dtype=np.float64)
    return np.asarray(np.where(np.isnan(said), by_mask, (said == 0) & ~(area > 0)))
