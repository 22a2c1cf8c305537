"""One intervention on a sample of images, and what the model says of them before and after."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.analysis.interventions.editor import Editor, Job, Trial
from xattn.analysis.interventions.passes import Logits, ask
from xattn.analysis.interventions.shown import (
    BY_ANNOTATION,
    BY_DETECTOR,
    MEASURED,
    Rows,
    detected_score,
)
from xattn.images.prefetch import prefetch
from xattn.models.interface import Model
from xattn.stats.resampling import FEWEST_GROUPS

_ATTEMPTS = 3
EDIT_BATCH = 16
"""Edited images in one pass, each with its control: on whatever worker, for rounding follows it."""


@dataclass(frozen=True)
class EditAnswers:
    """What a model said of the images of a job.

    Attributes:
        rows: (n,) of the predictions, which images were edited.
        borrowed: (n,) whether the control edits another image.
        logits: (n, 4, classes), see `Answers`.
        seen: whose masks were edited, and what was measured on the images: columns of the table.
    """

    rows: Rows
    borrowed: NDArray[np.bool_]
    logits: Logits
    seen: dict[str, Any]


def answer_edit(
    editor: Editor,
    job: Job,
    model: Model,
    *,
    images: int,
    workers: int,
    batch_size: int = EDIT_BATCH,
) -> EditAnswers:
    """Edit images, and ask a model of them.

    Args:
        editor: of the run.
        job: what to do.
        model: to ask.
        images: at most so many, of up to three times as many that are tried.
        workers: threads that read and edit.
        batch_size: edited images in one pass.
    """
    trials = _drawn(editor, job, images, workers)
    return EditAnswers(
        np.array([trial.row for trial in trials], dtype=np.intp),
        np.array([trial.edited.borrowed for trial in trials], dtype=bool),
        ask(model, trials, batch_size),
        _measured(job, trials),
    )


def _drawn(editor: Editor, job: Job, images: int, workers: int) -> list[Trial]:
    """Edit images until enough have a control; without five such, take those without one too."""
    with_control, without = [], []
    attempts = job.rows[: _ATTEMPTS * images].tolist()
    with closing(prefetch(editor.trial(job), attempts, workers)) as trials:
        for trial in trials:
            if trial is None:
                continue
            if trial.edited.control is None:
                without.append(trial)
            else:
                with_control.append(trial)
            if len(with_control) == images:
                break
    if len(with_control) >= FEWEST_GROUPS:
        return with_control
    return [*with_control, *without][:images]


def _measured(job: Job, trials: Sequence[Trial]) -> dict[str, Any]:
    """Say whose masks were edited; of a detector's the mean of its score before and after."""
    names = ("value_before", "value_after", "control_value_change")
    masks = {"masks": BY_DETECTOR if job.detector else BY_ANNOTATION}
    if not job.detector or not trials:
        return masks | dict.fromkeys(names, np.nan)
    scores = []
    for trial in trials[:MEASURED]:
        edited = trial.edited
        was = trial.before if edited.compared is None else edited.compared
        before, after = (detected_score(job.detector, p) for p in (trial.before, edited.treated))
        kept = np.nan
        if edited.control is not None:
            kept = detected_score(job.detector, edited.control)
            kept -= before if edited.compared is None else detected_score(job.detector, was)
        scores.append((before, after, kept))
    before, after, kept = np.array(scores).T
    known = kept[~np.isnan(kept)]
    change = float(known.mean()) if len(known) else np.nan
    means = float(before.mean()), float(after.mean()), change
    return masks | dict(zip(names, means, strict=True))
