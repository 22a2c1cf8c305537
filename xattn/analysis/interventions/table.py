"""interventions.csv: every edit of every feature with masks, on a sample of the run's images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.interventions.doses.table import DOSE_IMAGES, measure_doses
from xattn.analysis.interventions.editor import CONTROL, Editor, Job, Trial
from xattn.analysis.interventions.outcome import Scores
from xattn.analysis.interventions.passes import ask, log_odds, score_trials
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.analysis.interventions.shown import (
    BY_ANNOTATION,
    BY_DETECTOR,
    MEASURED,
    detected_score,
    shown,
)
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.analysis.scored import decision_scores
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.features.feature_set import LESION, FeatureSet
from xattn.features.masks import Progress
from xattn.images.domains import applies
from xattn.images.prefetch import prefetch
from xattn.models.interface import Model
from xattn.runs import RunFolder
from xattn.stats.adjust import enough_permutations, holm
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS
from xattn.stats.seeds import generator_for

_ATTEMPTS = 3
_SMALLEST, _LARGEST = 0.001, 0.5
"""Fraction of the view that a feature must cover to be pasted into another image."""


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
    batch_size: int = 16,
    workers: int = 2,
    fast: Model | None = None,
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
        progress: called as progress(done, total) over rows of the table.

    Returns:
        What the edits did, question by question.
    """
    editor = Editor(questions[0].run, features, seed)
    engine = make_fast_copy(model) if fast is None else fast
    spreads = [score_spread(q.run, features.of(q.run), q.positive) for q in questions]
    jobs = _jobs(features, seed)
    each = max((len(q.positive.classes) for q in questions if q.positive.each), default=0)
    draws = enough_permutations(permutations, len(jobs), alpha)
    of_classes = enough_permutations(permutations, len(jobs) * each, alpha)
    groups = group_codes(features.table["group"], len(features.table))
    rows: list[list[dict[str, Any]]] = [[] for _ in questions]
    by_class: list[list[dict[str, Any]]] = [[] for _ in questions]
    for done, job in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs))
        trials = _drawn(editor, job, images, workers)
        found, seen = ask(engine, trials, batch_size), _measured(job, trials)
        for i, question in enumerate(questions):
            positive, logits = question.positive, question.logits(found, model.classes)
            scores, answers = score_trials(logits, trials, groups, positive)
            numbers = scores.to_row(draws, bootstrap, seed)
            changes = {
                "changes": (answers and answers.changes()) or None,
                "control_changes": (answers and answers.changes(control=True)) or None,
            }
            if answers is None:  # a value decides nothing
                numbers |= dict.fromkeys(("flip_rate", "control_flip_rate", "p_mcnemar"), np.nan)
            note = {"score_sd": spreads[i], "note": _note(job, scores)}
            rows[i].append({**_facts(job), **numbers, **note, **changes, **seen})
            if answers and positive.each and len(positive.classes) > 2 and len(trials):
                own = answers.rows(of_classes, bootstrap, seed)
                by_class[i] += [{**_facts(job), **row} for row in own]
    if progress is not None:
        progress(len(jobs), len(jobs))
    doses = measure_doses(
        questions, features, engine, spreads, images=min(images, DOSE_IMAGES),
        permutations=permutations, bootstrap=bootstrap, alpha=alpha, seed=seed, workers=workers,
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


def _jobs(features: FeatureSet, seed: int) -> list[Job]:
    """List what can be done, features in order, each with the images it could be done to."""
    jobs = []
    for feature in features.masked:
        kind = "lesion" if feature == LESION else features.kinds[feature]
        area = features.table[f"{feature}.area"].to_numpy(dtype=np.float64)
        known = features.table[feature].to_numpy() if feature != LESION else None
        present = np.flatnonzero(area > 0)
        absent = np.flatnonzero(_absent(area, known))
        donors = np.flatnonzero((area > _SMALLEST) & (area < _LARGEST))
        for intervention in INTERVENTIONS.values():
            if kind not in intervention.features:
                continue
            if not applies(intervention.domains, features.domain):
                continue
            able = present if intervention.needs == "present" else absent
            rows = generator_for(seed, feature, intervention.name).permutation(able)
            kind_of = features.kinds[feature]
            jobs.append(Job(feature, kind_of, intervention, rows, donors, absent))
    jobs += _by_detectors(features, seed)
    artifacts = [j for j in jobs if j.kind == "artifact" and len(j.donors)]
    if artifacts:
        rows = generator_for(seed, CONTROL).permutation(len(features.table))
        donors = np.unique(np.concatenate([j.donors for j in artifacts]))
        inpaint = INTERVENTIONS["inpaint"]
        jobs.append(Job(CONTROL, "control", inpaint, rows, donors, rows[:0]))
    return jobs


def _by_detectors(features: FeatureSet, seed: int) -> Iterator[Job]:
    """Give what is done under the masks of detectors, to artifacts that have no others."""
    nobody = np.zeros(0, dtype=np.intp)
    for intervention in INTERVENTIONS.values():
        if not intervention.detected or not applies(intervention.domains, features.domain):
            continue
        for one in shown(features, intervention.features):
            if one.detector:
                order = generator_for(seed, one.feature, intervention.name).permutation(one.rows)
                yield Job(
                    one.feature, one.kind, intervention, order, nobody, one.without, one.detector
                )


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


def _absent(area: NDArray[np.float64], value: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Where the feature is known not to be: an empty mask, or no mask and the value 0."""
    by_mask = np.asarray(area == 0)
    if value is None or value.dtype == object:
        return by_mask
    said = np.asarray(value, dtype=np.float64)
    return np.asarray(np.where(np.isnan(said), by_mask, (said == 0) & ~(area > 0)))


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
