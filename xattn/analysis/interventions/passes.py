"""Edited pictures through the model, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xattn.analysis.interventions.editor import Trial
from xattn.analysis.interventions.outcome import Scores
from xattn.models.interface import Model

Logits = NDArray[np.float64]


def run_trials(
    model: Model,
    trials: Iterable[Trial],
    groups: NDArray[Any],
    positive: str,
    batch_size: int,
) -> Scores:
    """Score pictures before and after an edit, and after its control.

    All go through the model in one batch, so that nothing but the edit differs.

    Args:
        model: stays as it is.
        trials: what was edited.
        groups: of every row of the run.
        positive: class that the scores of two classes speak of.
        batch_size: trials in a pass.
    """
    coming = iter(trials)
    parts, rows, borrowed = [], [], []
    while batch := list(islice(coming, batch_size)):
        parts.append(_logits(model, batch))
        rows += [trial.row for trial in batch]
        borrowed += [trial.edited.borrowed for trial in batch]
    logits = np.concatenate([np.empty((0, 4, len(model.classes))), *parts])
    odds = log_odds(logits, model.classes.index(positive))
    predicted = logits.argmax(axis=2)
    before, after, control, compared = odds.T
    return Scores(
        before=before,
        after=after,
        control=control,
        compared=compared,
        flipped=predicted[:, 1] != predicted[:, 0],
        control_flipped=(predicted[:, 2] != predicted[:, 3]) & ~np.isnan(control),
        borrowed=np.array(borrowed, dtype=bool),
        groups=groups[rows],
    )


def _logits(model: Model, batch: list[Trial]) -> Logits:
    """Return logits (trials, 4, classes); NaN where there is no control.

    Before, after, of the control, and of what it was before.
    """
    edits = [(trial.before, trial.edited) for trial in batch]
    pictures = [p for b, e in edits for p in (b, e.treated, e.control, e.compared)]
    given = [p is not None for p in pictures]
    stack = torch.from_numpy(np.stack(list(_given(pictures))))
    with torch.inference_mode():
        found = model.logits(model.normalise(stack.to(model.device))).double().cpu().numpy()
    every = np.full((len(pictures), found.shape[1]), np.nan)
    every[given] = found
    logits = every.reshape(len(batch), 4, -1)
    own = [trial.edited.compared is None for trial in batch]
    logits[own, 3] = logits[own, 0]
    return logits


def _given(pictures: Iterable[NDArray[np.uint8] | None]) -> Iterator[NDArray[np.uint8]]:
    return (picture for picture in pictures if picture is not None)


def log_odds(logits: Logits, positive: int) -> Logits:
    """Return the log odds (n, k) of logits (n, k, classes): of the positive of two classes, or
    of the class that was predicted first."""
    n, _, classes = logits.shape
    target = np.full(n, positive) if classes == 2 else logits[:, 0].argmax(axis=1)
    mine = np.take_along_axis(logits, target[:, None, None], axis=2)[:, :, 0]
    others = np.where(np.arange(classes) == target[:, None, None], -np.inf, logits)
    with np.errstate(invalid="ignore"):  # NaN where there is no control
        result: Logits = mine - np.logaddexp.reduce(others, axis=2)
    return result
