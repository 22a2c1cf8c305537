"""One graded edit on a sample of images, and what the model says of them at each dose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from xattn.analysis.interventions.doses.effects import measured
from xattn.analysis.interventions.doses.jobs import DoseJob
from xattn.analysis.interventions.doses.trials import DoseEditor, DoseTrial
from xattn.analysis.interventions.passes import Logits
from xattn.analysis.interventions.shown import Rows
from xattn.models.interface import Model

DOSE_BATCH = 8
"""Images in one pass, each at all doses: on whatever worker, for rounding follows it."""


@dataclass(frozen=True)
class DoseAnswers:
    """What a model said of the images of a graded edit.

    Attributes:
        rows: (n,) of the predictions, which images were edited.
        logits: (n, 1 + 2 doses, classes): before, at each dose, of each control.
        seen: by dose what was measured on the images: columns of the table.
    """

    rows: Rows
    logits: Logits
    seen: dict[float, dict[str, Any]]


def answer_doses(
    editor: DoseEditor,
    job: DoseJob,
    model: Model,
    *,
    images: int,
    workers: int,
    batch_size: int = DOSE_BATCH,
) -> DoseAnswers:
    """Edit images by doses, and ask a model of them.

    Args:
        editor: of the run.
        job: what to do.
        model: to ask.
        images: at most so many, of up to three times as many that are tried.
        workers: threads that read and edit.
        batch_size: images in one pass, each at all doses.
    """
    trials: list[DoseTrial] = []
    logits = _ask(model, editor.drawn(job, images, workers), batch_size, trials)
    rows = np.array([trial.row for trial in trials], dtype=np.intp)
    return DoseAnswers(rows, logits, measured(job, trials, editor.editor.features))


def _ask(
    model: Model, coming: Iterable[DoseTrial], batch_size: int, kept: list[DoseTrial]
) -> Logits:
    """Return logits (trials, 1 + 2 doses, classes): before, at each dose, of each control.

    The trials are kept without their images.
    """
    stream, parts = iter(coming), []
    while batch := list(islice(stream, batch_size)):
        given = [[t.before, *t.treated, *(t.control or [])] for t in batch]
        stack = torch.from_numpy(np.stack([image for images in given for image in images]))
        with torch.inference_mode():
            said = model.logits(model.normalise(stack.to(model.device))).double().cpu().numpy()
        ends = np.cumsum([len(images) for images in given])
        width = 1 + 2 * len(batch[0].treated)
        for part in np.split(said, ends[:-1]):
            every = np.full((width, said.shape[1]), np.nan)
            every[: len(part)] = part
            parts.append(every[None])
        for trial in batch:
            trial.treated.clear()
            kept.append(trial)
    return np.concatenate(parts) if parts else np.empty((0, 1, len(model.classes)))
