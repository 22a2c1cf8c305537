"""doses.csv: every graded edit of every feature, on a sample of the run's images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.asking import DOSE_BATCH, answer_doses
from xattn.analysis.interventions.doses.jobs import DoseJob, dose_jobs
from xattn.analysis.interventions.doses.response import respond
from xattn.analysis.interventions.doses.trials import DoseEditor
from xattn.analysis.interventions.editor import Editor
from xattn.analysis.interventions.outcome import settled
from xattn.analysis.interventions.passes import Logits, log_odds
from xattn.analysis.interventions.shown import BY_ANNOTATION, BY_DETECTOR, WHOLE
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.features.feature_set import FeatureSet
from xattn.models.interface import Model
from xattn.runs import TABLES
from xattn.stats.adjust import enough_permutations, holm
from xattn.stats.codes import group_codes
from xattn.stats.paired import exact_mcnemar_p
from xattn.stats.resampling import mean_interval

DOSE_IMAGES = 50
"""At most so many images for each graded edit: a slope needs fewer than a single change does."""


def measure_doses(
    questions: Sequence[Question],
    features: FeatureSet,
    model: Model,
    spreads: Sequence[float],
    *,
    images: int,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
    batch_size: int = DOSE_BATCH,
    workers: int = 2,
    answers: Iterator[Any] | None = None,
) -> list[pd.DataFrame]:
    """Change features of a run's images by doses, and ask the model at each.

    Args:
        questions: what is asked of the edited images, of one run.
        features: its features and masks.
        model: the one of the run.
        spreads: standard deviation of the score within labels, question by question.
        images: at most so many an edit.
        permutations, bootstrap, seed: of p-values, intervals, and all draws; of the first more if
            the number of edits asks for it.
        alpha: level that p-values must be able to reach after adjustment.
        batch_size: images in one pass, each at all doses.
        workers: threads that read and edit.
        answers: what was said of the images of all edits, in their order, if that was asked
            elsewhere.

    Returns:
        doses.csv, question by question.
    """
    editor = DoseEditor(Editor(questions[0].run, features, seed), seed)
    groups = group_codes(features.table["group"], len(features.table))
    jobs = dose_jobs(features, seed, questions[0].run.preprocessing.channels)
    draws = enough_permutations(permutations, len(jobs), alpha)
    drawing = {"permutations": draws, "bootstrap": bootstrap, "seed": seed}
    rows: list[list[dict[str, Any]]] = [[] for _ in questions]
    coming = answers or (
        answer_doses(editor, job, model, images=images, workers=workers, batch_size=batch_size)
        for job in jobs
    )
    for job, found in zip(jobs, coming, strict=False):
        for i, question in enumerate(questions):
            own = question.logits(found.logits, model.classes)
            valued = not question.positive.classes  # a value has no class, and is its own score
            scores = own[..., 0] if valued else log_odds(own, question.positive)
            said = None if valued else _said(own, question.positive)
            own_rows = _rows(job, scores, said, groups[found.rows], drawing)
            facts = _facts(job, len(found.rows), spreads[i])
            rows[i] += [{**facts, **row, **found.seen[row["dose"]]} for row in own_rows]
    return [_adjusted(pd.DataFrame(of), draws) for of in rows]


def _said(logits: Logits, positive: Positive) -> NDArray[np.intp]:
    """Return the side that each image was decided for, (n, 1 + 2 doses); 0 without a control."""
    best = np.nan_to_num(logits, nan=-np.inf).argmax(axis=2)
    return np.asarray(positive.side_of[best], dtype=np.intp)


def _rows(
    job: DoseJob,
    scores: NDArray[np.float64],
    said: NDArray[np.intp] | None,
    group: NDArray[np.intp],
    drawing: dict[str, int],
) -> list[dict[str, Any]]:
    """Return a row for each dose of an edit.

    Args:
        job: the edit.
        scores: (n, 1 + 2 doses).
        said: (n, 1 + 2 doses) decisions; None of a value, which decides nothing.
        group: (n,).
        drawing: permutations, bootstrap and seed.
    """
    doses = np.array(job.edit.doses)
    if not len(scores):
        return [{"dose": dose, "n": 0} for dose in doses]
    first = scores[:, :1]
    change = settled(scores[:, 1 : 1 + len(doses)] - first, first)
    control = settled(scores[:, 1 + len(doses) :] - first, first)
    paired = np.asarray(~np.isnan(control).any(axis=1))
    excess = settled(change - control, first)[paired]
    response = respond(excess, doses, group[paired], **drawing)
    rest = {"bootstrap": drawing["bootstrap"], "seed": drawing["seed"]}
    shared = {
        "slope": response.slope,
        "slope_low": response.low,
        "slope_high": response.high,
        "p_value": response.p_value,
        "p_trend": response.p_trend,
    }
    return [
        {
            "dose": dose,
            "n": len(scores),
            "n_control": int(paired.sum()),
            "groups": len(np.unique(group)),
            **_with_interval("delta", change[:, j], group, **rest),
            **_with_interval("control_delta", control[paired, j], group[paired], **rest),
            **_with_interval("excess", excess[:, j], group[paired], **rest),
            **shared,
            **_flips(said, j + 1, j + 1 + len(doses), paired),
        }
        for j, dose in enumerate(doses)
    ]


def _flips(
    said: NDArray[np.intp] | None, edited: int, control: int, paired: NDArray[np.bool_]
) -> dict[str, float]:
    """Say how many decisions change at a dose, and by its control, as interventions.csv does."""
    names = ("flip_rate", "control_flip_rate", "p_mcnemar")
    if said is None or not len(said):
        return dict.fromkeys(names, np.nan)
    flipped, beside = (said[:, i] != said[:, 0] for i in (edited, control))
    rates = float(flipped.mean()), float(beside[paired].mean()) if paired.any() else np.nan
    p = exact_mcnemar_p(flipped[paired], beside[paired])
    return dict(zip(names, (*rates, p), strict=True))


def _with_interval(
    what: str, values: NDArray[np.float64], group: NDArray[np.intp], bootstrap: int, seed: int
) -> dict[str, float]:
    low, high = mean_interval(values, group, bootstrap, seed) if len(values) else (np.nan, np.nan)
    mean = float(values.mean()) if len(values) else np.nan
    return {f"{what}_logit": mean, f"{what}_low": low, f"{what}_high": high}


def _facts(job: DoseJob, done: int, spread: float) -> dict[str, Any]:
    masks = BY_ANNOTATION if job.edit.kinds or job.edit.needs_lesion else WHOLE
    masks = BY_DETECTOR if job.detector else masks
    note = None
    if not done:
        note = "no image could be edited with a control" if len(job.rows) else "no images show it"
    return {
        "feature": job.feature,
        "kind": job.kind,
        "intervention": job.edit.name,
        "unit": job.edit.unit,
        "masks": masks,
        "available": len(job.rows),
        "score_sd": spread,
        "note": note,
    }


def _adjusted(table: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Add p_adjusted, by Holm's method over the edits, each counted once."""
    if not len(table):
        return table
    table = table.reindex(columns=list(TABLES["doses"].always))
    first = ~table.duplicated(["feature", "intervention"])
    adjusted = pd.Series(holm(table.loc[first, "p_value"]), index=table.index[first])
    table["p_adjusted"] = adjusted.reindex(table.index).ffill()
    table.loc[table["p_value"].isna(), "p_adjusted"] = np.nan
    table.attrs["permutations"] = draws
    return table
