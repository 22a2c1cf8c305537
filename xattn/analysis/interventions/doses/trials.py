"""Graded edits of the images of a run, at all doses, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from xattn.analysis.interventions.doses.jobs import DoseJob
from xattn.analysis.interventions.doses.measuring import Values, others_of, values_at
from xattn.analysis.interventions.doses.registry import Altered, DoseCase
from xattn.analysis.interventions.editor import Editor
from xattn.analysis.interventions.pixels import Mask, widened
from xattn.analysis.interventions.shown import MEASURED, detected_mask
from xattn.features.feature_set import LESION
from xattn.images.domains import COLOURED, applies
from xattn.images.levels import Pixels
from xattn.images.prefetch import prefetch
from xattn.stats.seeds import generator_for

_ATTEMPTS = 3


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
        return lambda place: self._edited(job, place[1], place[0] < MEASURED)

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
            mask = detected_mask(job.detector, pixels)
            if mask is None:
                return None
            skin = skin & ~widened(mask)
        elif not job.edit.feature:
            mask = self.editor.mask(job.feature, row)
        rng = generator_for(self.seed, job.feature, job.edit.name, row)
        assert mask is not None
        coloured = applies(COLOURED, self.editor.features.domain)
        inside = job.kind == "structure"
        return DoseCase(
            pixels, mask, lesion, skin, inside, rng, job.observed, coloured,
            self.editor.artifacts(row),
        )  # fmt: skip

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
        trial.values.update(values_at(job, case, plain | treated))
        trial.control_values.update(values_at(job, case, plain | control))
        for dose in {0.0, min(job.edit.doses), max(job.edit.doses)}:
            at = (plain | treated)[dose]
            if found := others_of(case, at, self.editor.features):
                trial.others[dose] = found


def _pixels(case: DoseCase, at: dict[float, Altered]) -> list[Pixels]:
    return [case.taken(altered) for altered in at.values()]
