"""The edits of a run, as a part of `feature_usage`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing

from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.interventions.doses.jobs import dose_jobs
from xattn.analysis.interventions.doses.table import DOSE_IMAGES
from xattn.analysis.interventions.of_domain import note_of_left_out
from xattn.analysis.interventions.on_ray import answers_on_ray
from xattn.analysis.interventions.table import Interventions, measure_interventions
from xattn.analysis.question import Question
from xattn.analysis.settings import UsageSettings
from xattn.errors import XattnError
from xattn.features.feature_set import FeatureSet
from xattn.settings.cluster import RaySettings

_EDITS = 3
"""Of a feature with masks."""
_PASSES, _PASSES_OF_DOSES = 3, 9
"""Images that an edit makes of one: before, after, and a control, once or at each dose."""


def expected(features: FeatureSet, settings: UsageSettings, n: int) -> int:
    """Return about how many images `feature_usage` passes through the model.

    Args:
        features, settings: of the analysis.
        n: images of the run.
    """
    images = min(settings.interventions, n)
    edited = images * _PASSES * _EDITS * len(features.masked)
    dosed = min(images, DOSE_IMAGES) * _PASSES_OF_DOSES * len(dose_jobs(features, settings.seed))
    return edited + dosed + (n if settings.concepts else 0)


def interventions_of(
    features: FeatureSet,
    asked: AskedAgain,
    questions: Sequence[Question],
    settings: UsageSettings,
    workers: int,
    on_ray: RaySettings | None = None,
) -> tuple[list[Interventions | None], list[str]]:
    """Return what edits did, question by question, and notes on those that were asked for and
    not done.

    Args:
        features: of the run.
        asked: the model that made it.
        questions: what is asked of the edited images.
        settings: of the analysis.
        workers: threads that read and edit.
        on_ray: the cluster on whose workers images are edited and the model asked; None for here.
    """
    nothing: list[Interventions | None] = [None for _ in questions]
    channels = questions[0].run.preprocessing.channels
    if not settings.interventions or not (
        features.masked or dose_jobs(features, settings.seed, channels)
    ):
        return nothing, []
    try:
        model, fast = asked.model, asked.fast
    except XattnError as err:
        return nothing, [f"No interventions: {err}"]
    run, there = questions[0].run, None
    with ExitStack() as stack:
        if on_ray is not None:
            there = stack.enter_context(
                closing(
                    answers_on_ray(
                        run, features, asked, on_ray, images=settings.interventions,
                        seed=settings.seed, workers=settings.workers,
                    )
                )
            )  # fmt: skip
        found = measure_interventions(
            questions, features, model, images=settings.interventions,
            workers=workers, fast=fast, answers=there, **settings.testing,
        )  # fmt: skip
    note = note_of_left_out(features, channels)
    return list(found), [note] if note else []
