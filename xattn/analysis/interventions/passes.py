"""Edited images through the model, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xattn.analysis.interventions.by_class import AFTER, BEFORE, COMPARED, CONTROL, Answers
from xattn.analysis.interventions.editor import Trial
from xattn.analysis.interventions.outcome import Scores
from xattn.analysis.positive import Positive
from xattn.images.levels import Pixels
from xattn.models.interface import Model

Logits = NDArray[np.float64]


def ask(model: Model, trials: Iterable[Trial], batch_size: int) -> Logits:
    """Ask a model of images before and after an edit, and after its control.

    All go through the model in one batch, so that nothing but the edit differs.

    Args:
        model: stays as it is.
        trials: what was edited.
        batch_size: trials in a pass.

    Returns:
        Logits (trials, 4, classes), see `Answers`.
    """
    coming = iter(trials)
    parts = []
    while batch := list(islice(coming, batch_size)):
        parts.append(_logits(model, batch))
    return np.concatenate([np.empty((0, 4, len(model.classes))), *parts])


def score_edits(
    logits: Logits, borrowed: NDArray[np.bool_], groups: NDArray[Any], positive: Positive
) -> tuple[Scores, Answers | None]:
    """Score n images before and after an edit, and after its control.

    Args:
        logits: (n, 4, classes) of `ask`.
        borrowed: (n,) whether the control edits another image.
        groups: (n,) of the images.
        positive: the classes whose scores these are, see `log_odds`.

    Returns:
        Scores, in units of the logit, and the answers of each class; of a value, which has no
        class, the values themselves and None.
    """
    if not positive.classes:
        nothing = np.zeros(len(logits), dtype=bool)
        before, after, control, compared = logits[..., 0].T
        values = Scores(
            before=before,
            after=after,
            control=control,
            compared=compared,
            flipped=nothing,
            control_flipped=nothing,
            borrowed=borrowed,
            groups=groups,
        )
        return values, None
    answers = Answers(logits, groups, positive)
    before, after, control, compared = log_odds(logits, positive).T
    said = answers.said
    scores = Scores(
        before=before,
        after=after,
        control=control,
        compared=compared,
        flipped=said[:, AFTER] != said[:, BEFORE],
        control_flipped=(said[:, CONTROL] != said[:, COMPARED]) & answers.paired,
        borrowed=borrowed,
        groups=groups,
    )
    return scores, answers


def _logits(model: Model, batch: list[Trial]) -> Logits:
    """Return logits (trials, 4, classes); NaN where there is no control.

    Before, after, of the control, and of what it was before.
    """
    edits = [(trial.before, trial.edited) for trial in batch]
    images = [p for b, e in edits for p in (b, e.treated, e.control, e.compared)]
    given = [p is not None for p in images]
    stack = torch.from_numpy(np.stack(list(_given(images))))
    with torch.inference_mode():
        found = model.logits(model.normalise(stack.to(model.device))).double().cpu().numpy()
    every = np.full((len(images), found.shape[1]), np.nan)
    every[given] = found
    logits = every.reshape(len(batch), 4, -1)
    own = [trial.edited.compared is None for trial in batch]
    logits[own, 3] = logits[own, 0]
    return logits


def _given(images: Iterable[Pixels | None]) -> Iterator[Pixels]:
    return (image for image in images if image is not None)


def log_odds(logits: Logits, positive: Positive) -> Logits:
    """Return the log odds (n, k) of logits (n, k, classes): of the positive classes, or, where
    every class stands for itself, of the one that was predicted first."""
    with np.errstate(invalid="ignore"):  # NaN where there is no control
        if not positive.each:
            return positive.log_odds(logits)
        target = logits[:, 0].argmax(axis=1)[:, None, None]
        mine = np.take_along_axis(logits, target, axis=2)[:, :, 0]
        others = np.where(np.arange(logits.shape[2]) == target, -np.inf, logits)
        result: Logits = mine - np.logaddexp.reduce(others, axis=2)
    return result
