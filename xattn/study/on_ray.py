"""The steps of a study on a Ray cluster: whatever can be done now is handed to a free worker.

Workers write into the folder of the study, which all machines must see. A step whose worker dies
is taken up by another, and goes on where trainings, searches and maps go on after any kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from xattn.cluster.connect import connected
from xattn.cluster.messages import Messages, Tell
from xattn.cluster.workers import Workers, workers_of
from xattn.errors import XattnError, one_line
from xattn.settings.cluster import RaySettings
from xattn.study.course import Course
from xattn.study.doing import do_step
from xattn.study.outcome import ELSEWHERE, FAILED, OnStep, OnStepProgress, Outcome
from xattn.study.steps import Records, Step

_PAUSE = 1.0
"""Seconds between two looks at what workers say."""
_BETWEEN = 0.5
"""Seconds, at least, between two reports of how far a step is."""

Task = tuple[str, tuple[str, ...]]
"""Name of a step, and of those whose results it takes."""


def do_on_ray(
    steps: Sequence[Step],
    out: Path,
    how: RaySettings,
    *,
    device: str,
    redo: bool,
    on_step: OnStep,
    progress: OnStepProgress,
) -> dict[str, Outcome]:
    """Do the steps of a study that was begun, on the workers of a cluster.

    Args:
        steps: in an order in which each comes after what it needs; can be pickled.
        out: folder of the study, which all workers see.
        how: which cluster, and how many workers.
        device: where steps compute; with "cuda", and with "auto" where the cluster has GPUs, each
            worker has one.
        redo: whether steps may be done again with other settings or inputs.
        on_step: told what steps come to.
        progress: called with (step, done, total).

    Raises:
        UsageError: Ray is not installed.
        RunError: the cluster cannot be reached, or no worker starts.
    """
    course = Course(steps, on_step)
    with connected(how.address) as ray:
        gpu = device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1)
        number = min(workers_of(ray, how, gpu=gpu), len(steps))
        messages = Messages(ray)
        given = list(steps), out, redo, messages.sender
        try:
            with Workers(ray, _doing, given, number, gpu=gpu) as workers:
                _settle_all(course, workers, messages, progress)
        finally:
            messages.close()
    return course.outcomes


def _settle_all(
    course: Course, workers: Workers, messages: Messages, progress: OnStepProgress
) -> None:
    at_work: dict[str, Step] = {}
    begun: set[str] = set()
    not_before: dict[str, float] = {}
    while not course.ended:
        for step in course.open_steps():
            now = time.monotonic()
            if step.name not in at_work and workers.free and not_before.get(step.name, now) <= now:
                at_work[step.name] = step
                workers.hand_out((step.name, course.taken(step)))
        ended = workers.wait(_PAUSE)
        for name, said in messages.take():
            if name not in at_work:  # it ended meanwhile
                continue
            if isinstance(said, Outcome):
                begun.add(name)
                course.tell(at_work[name], said)
            else:
                progress(at_work[name], *said)
        if ended is None:
            continue
        step = at_work.pop(ended.job[0])
        outcome, beginning = ended.result or (Outcome(FAILED, _why(ended.error)), None)
        if beginning is not None and step.name not in begun:  # so short that no message came
            course.tell(step, beginning)
        if outcome.state == ELSEWHERE:
            not_before[step.name] = time.monotonic() + _PAUSE
        course.settle(step, outcome)


def _why(error: BaseException | None) -> str:
    if isinstance(error, XattnError):
        return str(error)
    return "" if error is None else f"{type(error).__name__}: {one_line(error)}"


def _doing(
    steps: Sequence[Step], out: Path, redo: bool, tell: Tell
) -> Callable[[Task], tuple[Outcome, Outcome | None]]:
    """Return what does steps, one after the other; made on a worker.

    It returns what a step came to, and, if it began, what was told then.
    """
    by_name, records = {step.name: step for step in steps}, Records(out)

    def do(task: Task) -> tuple[Outcome, Outcome | None]:
        (name, taken), last = task, time.monotonic()
        beginning: Outcome | None = None

        def report(done: int, total: int) -> None:
            nonlocal last
            if (now := time.monotonic()) - last >= _BETWEEN:
                last = now
                tell((name, (done, total)))

        def begun(outcome: Outcome) -> None:
            nonlocal beginning
            beginning = outcome
            tell((name, outcome))

        outcome = do_step(by_name[name], taken, records, redo=redo, begun=begun, progress=report)
        return outcome, beginning

    return do
