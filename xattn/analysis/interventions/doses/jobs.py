"""Which graded edits of which features a run can have, and the images they can be done to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xattn.analysis.interventions.doses.registry import GRADED_EDITS, GradedEdit
from xattn.analysis.interventions.shown import Rows, shown
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.channels import COLOURS
from xattn.images.domains import applies
from xattn.stats.seeds import generator_for


@dataclass(frozen=True)
class DoseJob:
    """One graded edit of one feature, and the images it is done to.

    Attributes:
        feature, kind: what is edited.
        edit: how.
        rows: all images that it could be done to, in the random order in which they are tried.
        detector: whose masks are taken; "" for those of the annotation.
        observed: 1st and 99th percentile of the feature over the run, or None.
    """

    feature: str
    kind: str
    edit: GradedEdit
    rows: Rows
    detector: str = ""
    observed: tuple[float, float] | None = None


def dose_jobs(features: FeatureSet, seed: int, channels: int = COLOURS) -> list[DoseJob]:
    """List what can be done, each with the images it could be done to.

    Args:
        features: of a run; edits for images of other domains than its own are left out.
        seed: of the order of the images.
        channels: of the network's inputs; those made for some domains are made for colours.
    """
    jobs = []
    for edit in GRADED_EDITS.values():
        if not applies(edit.domains, features.domain) or (edit.domains and channels != COLOURS):
            continue
        for feature, kind, rows, found_by in suited(edit, features):
            order = generator_for(seed, feature, edit.name).permutation(rows)
            observed = _observed(features, feature)
            jobs.append(DoseJob(feature, kind, edit, order, found_by, observed))
    return jobs


def suited(edit: GradedEdit, features: FeatureSet) -> Iterator[tuple[str, str, Rows, str]]:
    """Give feature, kind, images and detector of each feature that an edit suits, if its domain
    does.

    Args:
        edit: what is to be done.
        features: of a run.
    """
    table = features.table
    if edit.needs_lesion and LESION not in features.masked:
        return
    suitable = np.ones(len(table), dtype=bool)
    if edit.needs_lesion:
        suitable = table[f"{LESION}.area"].to_numpy(dtype=np.float64) > 0
    if edit.whole:
        yield edit.feature, "image", np.flatnonzero(suitable), ""
    elif edit.feature:
        if edit.feature in features.kinds:
            known = suitable if edit.needs_lesion else table[edit.feature].notna().to_numpy()
            yield edit.feature, "computed", np.flatnonzero(known), ""
    else:
        for one in shown(features, edit.kinds):
            yield one.feature, one.kind, one.rows[suitable[one.rows]], one.detector


def _observed(features: FeatureSet, feature: str) -> tuple[float, float] | None:
    if feature not in features.table or features.table[feature].dtype == object:
        return None
    values = features.table[feature].to_numpy(dtype=np.float64)
    if np.isnan(values).all():
        return None
    low, high = np.nanpercentile(values, [1, 99])
    return float(low), float(high)
