"""Doing the steps of a study: what is done is passed over, what fails stops only what needs it.

Several processes may do so in one folder: each step has a lock, and one that another process has
is left to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xattn.cluster.connect import require_ray
from xattn.disk import writing_into
from xattn.runs.calls import record_call
from xattn.settings.cluster import RaySettings
from xattn.study.course import Course, begin_study
from xattn.study.doing import do_step
from xattn.study.on_ray import do_on_ray
from xattn.study.outcome import OnStep, OnStepProgress, Outcome
from xattn.study.plan import plan_study
from xattn.study.read_recipe import read_study
from xattn.study.steps import Records, Step

OnProgress = Callable[[int, int], None]
_PAUSE = 1.0


def run_study(
    recipe: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    device: str = "auto",
    redo: bool = False,
    on_step: OnStep | None = None,
    progress: OnProgress | None = None,
    engine: RaySettings | None = None,
) -> dict[str, Outcome]:
    """Do what a recipe of a study says, but for what is done already.

    A step is done if its record says so, its settings and inputs (files by their content) are
    those of the record, and the files that it wrote are as it left them. A call that was killed
    loses at most the step at work.

    Args:
        recipe: the TOML file.
        out: folder of the study.
        data: an annotation file or a data set's folder, in place of the recipe's.
        device: "auto", "cpu", "cuda" or "mps".
        redo: do steps again whose settings or inputs are others than before; what they wrote is
            lost. Comparison, figures, tables and page are done again without it.
        on_step: called when a step begins and ends.
        progress: called with (done, total) of a step at work.
        engine: whether the steps are done here, or spread over the workers of a Ray cluster.

    Returns:
        Name of each step -> what it came to: "done", "failed" or "blocked".

    Raises:
        XattnError: the recipe is wrong.
        UsageError: steps would have to be done again, without `redo`, or Ray is not installed.
        RunError: the cluster cannot be reached.

    Examples:
        >>> outcomes = xattn.run_study("study.toml", "study")
        >>> outcomes["report"].state
        'done'
    """
    steps = plan_study(read_study(recipe, data), Path(out), device)
    call = call_of(recipe, out, data, device)

    def report(_step: Step, done: int, total: int) -> None:
        if progress is not None:
            progress(done, total)

    return execute(
        steps, Path(out), redo=redo, call=call, on_step=on_step, progress=report, engine=engine,
        device=device,
    )  # fmt: skip


def call_of(
    recipe: str | Path, out: str | Path, data: str | Path | None, device: str
) -> dict[str, Any]:
    """Return the record of a call of `xattn study`; the arguments are those of `run_study`."""
    words: list[str | Path] = [Path(recipe)]
    words += [] if data is None else ["--data", Path(data)]
    words += [] if device == "auto" else ["--device", device]
    return record_call("study", Path(out).absolute().parent, arguments=words)


def execute(
    steps: Sequence[Step],
    out: Path,
    *,
    redo: bool = False,
    call: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
    progress: OnStepProgress | None = None,
    engine: RaySettings | None = None,
    device: str = "auto",
) -> dict[str, Outcome]:
    """Do steps in order; see `run_study`. `call` is the record of the call that does so."""
    on_ray = engine is not None and engine.engine == "ray"
    if on_ray:
        require_ray()
    begin_study(steps, out, redo=redo, call=call)
    tell, report = on_step or _ignore_step, progress or _ignore_progress
    with writing_into(out):
        if engine is not None and on_ray:
            return do_on_ray(
                steps, out, engine, device=device, redo=redo, on_step=tell, progress=report
            )
        return _do_here(steps, Records(out), redo, tell, report)


def _do_here(
    steps: Sequence[Step], records: Records, redo: bool, tell: OnStep, report: OnStepProgress
) -> dict[str, Outcome]:
    """Do the steps in this process, but for those that another is at."""
    course = Course(steps, tell)
    while not course.ended:
        before = len(course.outcomes)
        for step in course.open_steps():
            outcome = do_step(
                step, course.taken(step), records, redo=redo,
                begun=partial(tell, step), progress=partial(report, step),
            )  # fmt: skip
            course.settle(step, outcome)
        if len(course.outcomes) == before:
            time.sleep(_PAUSE)
    return course.outcomes


def _ignore_step(_step: Step, _outcome: Outcome) -> None:
    """Tell nobody."""


def _ignore_progress(_step: Step, _done: int, _total: int) -> None:
    """Tell nobody."""
