"""The features of an edited image, measured again: the one that was edited, and all others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xattn.analysis.interventions.doses.jobs import DoseJob
from xattn.analysis.interventions.doses.registry import Altered, DoseCase
from xattn.analysis.interventions.shown import detected_score
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError, measure_all
from xattn.features.computed.collect import DETECTED
from xattn.features.detected import DETECTORS
from xattn.features.feature_set import FeatureSet
from xattn.images.levels import in_colours
from xattn.images.masks import Mask

Values = dict[float, float]


def values_at(job: DoseJob, case: DoseCase, at: Mapping[float, Altered]) -> Values:
    """Return the feature's value by dose; empty where there is nothing to measure it by.

    Args:
        job: whose feature.
        case: the image.
        at: dose -> the image at it.
    """
    found = {}
    for dose, altered in at.items():
        value = _value(job, case, altered)
        if value is None:
            return {}
        found[dose] = value
    return found


def others_of(case: DoseCase, altered: Altered, features: FeatureSet) -> dict[str, float]:
    """Return the computed features that a run has, NaN where one cannot be measured.

    Args:
        case: the image.
        altered: as it was changed.
        features: of the run.
    """
    names = [name for name in COMPUTED_FEATURES if features.kinds.get(name) == "computed"]
    covered = case.artifacts
    if altered.mask is not None:
        covered = altered.mask if covered is None else (covered & ~case.mask) | altered.mask
    return measure_all(_subject(case, altered, covered), names)[0]


def _value(job: DoseJob, case: DoseCase, altered: Altered) -> float | None:
    name, edit = job.feature.removesuffix(DETECTED), job.edit
    covered = case.artifacts
    if edit.kinds:
        covered = case.mask if altered.mask is None else altered.mask
    subject = _subject(case, altered, covered)
    try:
        if edit.measure is not None:
            return edit.measure(subject)
        if edit.feature:
            return COMPUTED_FEATURES[edit.feature](subject)
        if name in DETECTORS:
            return detected_score(name, subject.pixels)
    except UnmeasurableError:
        return np.nan
    return None


def _subject(case: DoseCase, altered: Altered, covered: Mask | None) -> Subject:
    lesion = case.lesion if altered.lesion is None else altered.lesion
    nothing = np.zeros(case.pixels.shape[:2], dtype=bool)
    pixels = in_colours(case.taken(altered))
    return Subject(pixels, nothing if lesion is None else lesion, covered)
