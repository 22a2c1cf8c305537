"""interventions.csv: every edit of every feature with masks, on a sample of the run's images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.interventions.asking import EDIT_BATCH, answer_edit
from xattn.analysis.interventions.doses.table import DOSE_IMAGES, measure_doses
from xattn.analysis.interventions.editor import Editor, Job
from xattn.analysis.interventions.jobs import jobs_of
from xattn.analysis.interventions.outcome import Scores
from xattn.analysis.interventions.passes import log_odds, score_edits
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.analysis.scored import decision_scores
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.features.feature_set import FeatureSet
from xattn.features.masks import Progress
from xattn.models.interface import Model
from xattn.runs import RunFolder
from xattn.stats.adjust import enough_permutations, holm
from xattn.stats.codes import group_codes


@dataclass(frozen=True)
class Interventions:
    """What edits did.

    Attributes:
        table: interventions.csv, one row per feature and intervention.
        by_class: interventions_by_class.csv, one row per feature, intervention and class, where
            every class stands for itself; else empty.
        doses: doses.csv, one row per feature, graded edit and dose.
    """

    table: pd.DataFrame
    by_class: pd.DataFrame
    doses: pd.DataFrame


def measure_interventions(
    questions: Sequence[Question],
    features: FeatureSet,
    model: Model,
    *,
    images: int = 100,
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
    batch_size: int = EDIT_BATCH,
    workers: int = 2,
    fast: Model | None = None,
    answers: Iterator[Any] | None = None,
    progress: Progress | None = None,
) -> list[Interventions]:
    """Edit the features of a run's images, and ask the model again.

    Scores are log odds: of the positive classes, or, where every class stands for itself, of the
    class that was predicted before. Images are edited in the model's view, at its own size. A
    row named `control-patch` inpaints a patch of plain skin against another one and must show
    nothing.

    Args:
        questions: what is asked of the edited images, of one run; an image is edited once for all.
        features: its masks, from `collect_features`.
        model: the one of the run.
        images: at most so many a row, drawn at random among those with room for a control. Up
            to three times as many are tried.
        permutations, bootstrap, seed: of p-values, intervals, and all draws; of the first more if
            the number of rows asks for it.
        alpha: level that p-values must be able to reach after adjustment.
        batch_size: edited images in one pass.
        workers: threads that read and edit.
        fast: a private copy of the model to ask in its place; default one is made.
        answers: what was said of the images of all jobs and then of all graded ones, in their
            order, if they are edited and the model asked elsewhere; see `answers_on_ray`.
        progress: called as progress(done, total) over rows of the table.

    Returns:
        What the edits did, question by question.
    """
    if fast is None and answers is None:
        fast = make_fast_copy(model)
    spreads = [score_spread(q.run, features.of(q.run), q.positive) for q in questions]
    jobs = jobs_of(features, seed)
    each = max((len(q.positive.classes) for q in questions if q.positive.each), default=0)
    draws = enough_permutations(permutations, len(jobs), alpha)
    of_classes = enough_permutations(permutations, len(jobs) * each, alpha)
    groups = group_codes(features.table["group"], len(features.table))
    rows: list[list[dict[str, Any]]] = [[] for _ in questions]
    by_class: list[list[dict[str, Any]]] = [[] for _ in questions]
    editor, asked = Editor(questions[0].run, features, seed), fast or model
    coming = answers or (
        answer_edit(editor, job, asked, images=images, workers=workers, batch_size=batch_size)
        for job in jobs
    )
    for done, (job, found) in enumerate(zip(jobs, coming, strict=False)):
        if progress is not None:
            progress(done, len(jobs))
        for i, question in enumerate(questions):
            positive, logits = question.positive, question.logits(found.logits, model.classes)
            scores, said = score_edits(logits, found.borrowed, groups[found.rows], positive)
            numbers = scores.to_row(draws, bootstrap, seed)
            changes = {
                "changes": (said and said.changes()) or None,
                "control_changes": (said and said.changes(control=True)) or None,
            }
            if said is None:  # a value decides nothing
                numbers |= dict.fromkeys(("flip_rate", "control_flip_rate", "p_mcnemar"), np.nan)
            note = {"score_sd": spreads[i], "note": _note(job, scores)}
            rows[i].append({**_facts(job), **numbers, **note, **changes, **found.seen})
            if said and positive.each and len(positive.classes) > 2 and len(found.rows):
                own = said.rows(of_classes, bootstrap, seed)
                by_class[i] += [{**_facts(job), **row} for row in own]
    if progress is not None:
        progress(len(jobs), len(jobs))
    doses = measure_doses(
        questions, features, asked, spreads, images=min(images, DOSE_IMAGES),
        permutations=permutations, bootstrap=bootstrap, alpha=alpha, seed=seed, workers=workers,
        answers=answers,
    )  # fmt: skip
    tables = (
        [_adjusted(pd.DataFrame(of), drawn) for of in some]
        for some, drawn in ((rows, draws), (by_class, of_classes))
    )
    return [Interventions(*each) for each in zip(*tables, doses, strict=True)]


def _adjusted(table: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Add p_adjusted after p_value, by Holm's method over all rows but the control's."""
    if len(table):
        table.attrs["permutations"] = draws
        tested = table["p_value"].where(table["kind"] != "control")
        place = list(table.columns).index("p_value") + 1
        table.insert(place, "p_adjusted", holm(tested))
    return table


def score_spread(run: RunFolder, features: FeatureSet, positive: Positive) -> float:
    """Return the standard deviation of the run's log odds within labels: the scale of a change.

    Args:
        run, features: the run and its labels.
        positive: class whose log odds the score is.
    """
    if run.of_value:
        scores = pd.Series(decision_scores(run, positive))
    else:
        columns = [f"logit_{name}" for name in run.classes]
        logits = run.predictions[columns].to_numpy(dtype=np.float64)[:, None]
        scores = pd.Series(log_odds(logits, positive)[:, 0])
    label = features.table["label"].fillna("?").reset_index(drop=True)
    return float((scores - scores.groupby(label).transform("mean")).std())


def _facts(job: Job) -> dict[str, Any]:
    return {
        "feature": job.feature,
        "kind": job.kind,
        "intervention": job.intervention.name,
        "available": len(job.rows),
    }


def _note(job: Job, scores: Scores) -> str | None:
    """Say why numbers are missing."""
    needs = "show it" if job.intervention.needs == "present" else "are known to be without it"
    if not len(job.rows):
        return f"no images {needs}"
    if job.intervention.needs == "absent" and not len(job.donors):
        return "no image has one of a usable size"
    if not len(scores.before):
        return "no image could be edited"
    if np.isnan(scores.control).all():
        return "no room for a control"
    return None
