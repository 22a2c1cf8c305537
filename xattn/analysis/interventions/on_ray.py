"""Interventions on a Ray cluster: each edit of each feature by one worker, with its own model.

An edit's images go through the model in the same batches wherever that is, so that the tables are
those of one process. Nothing is written by workers: what they return is put together in order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.interventions.asking import EditAnswers, answer_edit
from xattn.analysis.interventions.doses.asking import DoseAnswers, answer_doses
from xattn.analysis.interventions.doses.jobs import dose_jobs
from xattn.analysis.interventions.doses.table import DOSE_IMAGES
from xattn.analysis.interventions.doses.trials import DoseEditor
from xattn.analysis.interventions.editor import Editor
from xattn.analysis.interventions.jobs import jobs_of
from xattn.attribution.passes.engines.choose import Wanted
from xattn.cluster.connect import connected
from xattn.cluster.models import Sent, received, to_send
from xattn.cluster.workers import Workers, in_order, workers_of
from xattn.features.feature_set import FeatureSet
from xattn.runs import RunFolder
from xattn.settings.cluster import RaySettings

EDIT, DOSES = "edit", "doses"
Task = tuple[str, int]
"""Kind of a job, and its number among those of its kind."""


@dataclass(frozen=True)
class Asking:
    """What a worker needs to do any job of a run.

    Attributes:
        run, features: of the analysis.
        model: the one to ask; None for the one that the run leads to.
        wanted: by which the copy that is asked is made.
        images: at most so many a job.
        seed: of all draws.
        threads: that read and edit.
    """

    run: RunFolder
    features: FeatureSet
    model: Sent | None
    wanted: Wanted
    images: int
    seed: int
    threads: int


def answers_on_ray(
    run: RunFolder,
    features: FeatureSet,
    asked: AskedAgain,
    how: RaySettings,
    *,
    images: int,
    seed: int,
    workers: int | None,
) -> Generator[EditAnswers | DoseAnswers, None, None]:
    """Give what the model says of all interventions and then of all graded edits, in their order.

    Args:
        run: or one output of it.
        features: of the run; its folder and images are seen by all workers.
        asked: the model that made it; its engine is that of all workers.
        how: which cluster, and how many workers.
        images: at most so many for each edit.
        seed: of all draws.
        workers: threads of each worker; default one.

    Raises:
        UsageError: Ray is not installed.
        RunError: the cluster cannot be reached, or the workers of an edit died too often.
        XattnError: an edit is not what it should be.
    """
    jobs, graded = jobs_of(features, seed), dose_jobs(features, seed, run.preprocessing.channels)
    called = {(EDIT, i): f"{job.intervention.name} of {job.feature}" for i, job in enumerate(jobs)}
    called |= {(DOSES, i): f"{job.edit.name} of {job.feature}" for i, job in enumerate(graded)}
    gpu = asked.model.device.type == "cuda"
    asking = Asking(
        # What they have read so far stays here.
        replace(run), replace(features), None if asked.given is None else to_send(asked.given),
        asked.wanted_of_all, images, seed, 1 if workers is None else max(1, workers),
    )  # fmt: skip
    with connected(how.address) as ray:
        number = min(workers_of(ray, how, gpu=gpu), len(called))
        with Workers(ray, _answering, [asking], number, gpu=gpu) as spread:
            yield from in_order(spread, called, called.__getitem__)


def _answering(asking: Asking) -> Callable[[Task], EditAnswers | DoseAnswers]:
    """Return what does the jobs of a run, one after the other; made on a worker."""
    run, features, seed = asking.run, asking.features, asking.seed
    model = None if asking.model is None else received(asking.model)
    fast = AskedAgain.alike(run, model, asking.wanted).fast
    jobs, graded = jobs_of(features, seed), dose_jobs(features, seed, run.preprocessing.channels)
    editor = Editor(run, features, seed)
    by_doses = DoseEditor(editor, seed)

    def answer(task: Task) -> EditAnswers | DoseAnswers:
        kind, i = task
        if kind == EDIT:
            return answer_edit(editor, jobs[i], fast, images=asking.images, workers=asking.threads)
        images = min(asking.images, DOSE_IMAGES)
        return answer_doses(by_doses, graded[i], fast, images=images, workers=asking.threads)

    return answer
