"""Graded edits of the images of a run: which images, at which doses, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.registry import (
    GRADED_EDITS,
    Altered,
    DoseCase,
    GradedEdit,
)
from xattn.analysis.interventions.editor import Editor
from xattn.analysis.interventions.pixels import Mask, widened
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError, measure_all
from xattn.features.computed.collect import DETECTED
from xattn.features.detected import DETECTORS, FramedImage, detect
from xattn.features.detected.registry import PRESENT
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.channels import COLOURS
from xattn.images.domains import COLOURED, applies
from xattn.images.levels import Pixels, in_colours
from xattn.images.prefetch import prefetch
from xattn.stats.seeds import generator_for

_ATTEMPTS = 3
_MEASURED = 20
"""Images of each edit whose features are measured again."""
_SMALLEST = 0.0005
"""Fraction of the view below which what a detector found is not edited."""

Rows = NDArray[np.intp]
Values = dict[float, float]


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


@dataclass(frozen=True)
class DoseTrial:
    """One image at all doses.

    Attributes:
        row: of the predictions.
        before: the image.
        treated: at each dose.
        control: changed as much, or None where that is not possible.
        values, control_values: the feature's value by dose, 0 among them; empty if not measured.
        others: by computed feature, its value at each dose at which all were measured.
    """

    row: int
    before: Pixels
    treated: list[Pixels]
    control: list[Pixels] | None
    values: Values = field(default_factory=dict)
    control_values: Values = field(default_factory=dict)
    others: dict[float, dict[str, float]] = field(default_factory=dict)


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
    everything = np.arange(len(table))
    if edit.whole:
        yield edit.feature, "image", everything, ""
    elif edit.feature:
        if edit.feature in features.kinds and LESION in features.masked:
            area = table[f"{LESION}.area"].to_numpy(dtype=np.float64)
            yield edit.feature, "computed", np.flatnonzero(area > 0), ""
    else:
        for feature, kind in features.kinds.items():
            if kind not in edit.kinds or feature == LESION:
                continue
            if feature in features.masked:
                area = table[f"{feature}.area"].to_numpy(dtype=np.float64)
                yield feature, kind, np.flatnonzero(area > 0), ""
            elif (name := feature.removesuffix(DETECTED)) in DETECTORS:
                if feature != name and name in features.kinds:
                    continue  # the annotated one is edited
                if not applies(DETECTORS[name].domains, features.domain):
                    continue
                shown = pd.to_numeric(table[feature], errors="coerce").to_numpy() >= PRESENT
                yield feature, kind, np.flatnonzero(shown), name


def _observed(features: FeatureSet, feature: str) -> tuple[float, float] | None:
    if feature not in features.table or features.table[feature].dtype == object:
        return None
    values = features.table[feature].to_numpy(dtype=np.float64)
    if np.isnan(values).all():
        return None
    low, high = np.nanpercentile(values, [1, 99])
    return float(low), float(high)


class DoseEditor:
    """Does jobs, image by image; may be called from several threads.

    Args:
        editor: reads images and masks.
        seed: of all draws.
    """

    def __init__(self, editor: Editor, seed: int) -> None:
        self.editor, self.seed = editor, seed

    def drawn(self, job: DoseJob, images: int, workers: int) -> Iterator[DoseTrial]:
        """Edit images until enough have a control; up to three times as many are tried.

        Args:
            job: what to do.
            images: how many.
            workers: threads.
        """
        attempts = list(enumerate(job.rows[: _ATTEMPTS * images].tolist()))
        done = 0
        with closing(prefetch(self._trial(job), attempts, workers)) as trials:
            for trial in trials:
                if trial is None or (trial.control is None and not job.edit.whole):
                    continue
                yield trial
                done += 1
                if done == images:
                    return

    def _trial(self, job: DoseJob) -> Callable[[tuple[int, int]], DoseTrial | None]:
        return lambda place: self._edited(job, place[1], place[0] < _MEASURED)

    def _edited(self, job: DoseJob, row: int, measured: bool) -> DoseTrial | None:
        pixels = self.editor.image(row)
        if pixels is None or (case := self._case(job, row, pixels)) is None:
            return None
        dosed = job.edit.prepare(case)
        if dosed is None:
            return None
        treated = {dose: dosed.edit(dose) for dose in job.edit.doses}
        control = None
        if dosed.control is not None:
            control = {dose: dosed.control(dose) for dose in job.edit.doses}
        trial = DoseTrial(
            row,
            pixels,
            _pixels(case, treated),
            None if control is None else _pixels(case, control),
        )
        if measured:
            self._measure(job, case, trial, treated, control or {})
        return trial

    def _case(self, job: DoseJob, row: int, pixels: Pixels) -> DoseCase | None:
        lesion = self.editor.mask(LESION, row) if LESION in self.editor.arrays else None
        skin = self.editor.skin(row)
        mask: Mask | None = np.zeros(pixels.shape[:2], dtype=bool) if lesion is None else lesion
        if job.detector:
            mask = detect(FramedImage(in_colours(pixels)), [job.detector])[job.detector].mask
            if mask is None or mask.mean() < _SMALLEST:
                return None
            skin = skin & ~widened(mask)
        elif not job.edit.feature:
            mask = self.editor.mask(job.feature, row)
        rng = generator_for(self.seed, job.feature, job.edit.name, row)
        assert mask is not None
        coloured = applies(COLOURED, self.editor.features.domain)
        inside = job.kind == "structure"
        return DoseCase(pixels, mask, lesion, skin, inside, rng, job.observed, coloured)

    def _measure(
        self,
        job: DoseJob,
        case: DoseCase,
        trial: DoseTrial,
        treated: dict[float, Altered],
        control: dict[float, Altered],
    ) -> None:
        """Measure the feature at every dose, and all computed features at the extreme ones."""
        plain = {0.0: Altered(case.image)}
        trial.values.update(_values(job, case, plain | treated))
        trial.control_values.update(_values(job, case, plain | control))
        if case.lesion is not None:
            for dose in {0.0, min(job.edit.doses), max(job.edit.doses)}:
                at = (plain | treated)[dose]
                trial.others[dose] = measure_all(_subject(case, at))[0]


def _pixels(case: DoseCase, at: dict[float, Altered]) -> list[Pixels]:
    return [case.taken(altered) for altered in at.values()]


def _subject(case: DoseCase, altered: Altered) -> Subject:
    lesion = case.lesion if altered.lesion is None else altered.lesion
    nothing = np.zeros(case.pixels.shape[:2], dtype=bool)
    return Subject(in_colours(case.taken(altered)), nothing if lesion is None else lesion)


def _values(job: DoseJob, case: DoseCase, at: dict[float, Altered]) -> Values:
    """Return the feature's value by dose; empty where there is nothing to measure it by."""
    found = {}
    for dose, altered in at.items():
        value = _value(job, _subject(case, altered))
        if value is None:
            return {}
        found[dose] = value
    return found


def _value(job: DoseJob, subject: Subject) -> float | None:
    name = job.feature.removesuffix(DETECTED)
    try:
        if job.edit.measure is not None:
            return job.edit.measure(subject)
        if job.edit.feature:
            return COMPUTED_FEATURES[job.edit.feature](subject)
        if name in DETECTORS:
            return DETECTORS[name](FramedImage(subject.pixels)).score
    except UnmeasurableError:
        return np.nan
    return None
