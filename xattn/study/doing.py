"""One step of a study: under a lock, unless it is done, and its end recorded."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress

from xattn.disk import disk_error
from xattn.errors import DiskError, XattnError, one_line
from xattn.runs.locks import Taken, take
from xattn.study.outcome import ELSEWHERE, FAILED, RUNNING, Outcome
from xattn.study.standing import AGAIN, DONE, NEW, UNFINISHED, Standing, standing
from xattn.study.steps import Progress, Records, Step, Telling


def do_step(
    step: Step,
    taken: tuple[str, ...],
    records: Records,
    *,
    redo: bool,
    begun: Callable[[Outcome], None],
    progress: Progress,
) -> Outcome:
    """Do one step, unless it is done or another process is at it; return what it came to.

    Args:
        step: whose needs are settled.
        taken: names of the steps whose results it takes.
        records: of the study.
        redo: whether it may be done again with other settings or inputs.
        begun: told when it begins.
        progress: called with (done, total).
    """
    try:
        release = take(records.path(step.name, ".lock"), f"xattn study: {step.name}")
    except Taken as err:
        return Outcome(ELSEWHERE, _who(err.holder))
    try:
        return _done(step, taken, records, redo, begun, Telling(progress))
    finally:
        release()


def _who(holder: Mapping[str, object]) -> str:
    return f"process {holder.get('pid', '?')} on {holder.get('host', '?')} is at it"


def _done(
    step: Step,
    taken: tuple[str, ...],
    records: Records,
    redo: bool,
    begun: Callable[[Outcome], None],
    said: Telling,
) -> Outcome:
    started = time.perf_counter()
    error = records.path(step.name, ".error.txt")
    left = tuple(name for name in step.gathers if name not in taken)
    facts: dict[str, object] = {}
    try:
        facts = records.facts(step, taken)
        now = standing(step, taken, records)
        if now.state == DONE:
            return _of_record(records, step, "was done", before=True)
        goes_on = (
            now.state == UNFINISHED
            and step.resumes
            and records.read(step.name).get("facts") == facts
        )
        if not goes_on:
            _clear(step, now, redo)
        records.begin(step.name, facts)
        begun(Outcome(RUNNING, "goes on" if goes_on else now.why))
        files = step.run(said, taken)
        seconds = time.perf_counter() - started
        records.end(step, facts, files, seconds, left, said)
    except Exception as err:
        told = err if isinstance(err, XattnError) else disk_error(err)
        what = f"{type(err).__name__}: {one_line(err)}" if told is None else str(told)
        with suppress(OSError, DiskError):  # the record cannot be written either: it stays
            error.write_text(traceback.format_exc(), encoding="utf-8")
            if records.read(step.name).get("facts") == facts:  # it had begun
                records.fail(step.name, facts)
        return Outcome(FAILED, f"{what} ({error})", tuple(said.notes), tuple(said.problems))
    error.unlink(missing_ok=True)
    without = f", without {', '.join(left)}" if left else ""
    return _of_record(records, step, f"{seconds:.1f} s{without}")


def _clear(step: Step, now: Standing, redo: bool) -> None:
    """Empty the folder of a step.

    Raises:
        XattnError: the study has no record of it, or no leave to lose what it holds.
    """
    if now.state == AGAIN and not (redo or step.cheap):
        raise XattnError(
            f"Expected the settings and inputs with which it was done, but got others "
            f"({now.why}); --redo does it again, and what it wrote goes"
        )
    if step.folder is None or not step.folder.exists():
        return
    if now.state == NEW:
        raise XattnError(
            f"Expected no folder {step.folder}, which {step.name} writes, but got one of which "
            "this study has no record; move it, or name another folder with --out"
        )
    shutil.rmtree(step.folder)


def _of_record(records: Records, step: Step, remark: str, before: bool = False) -> Outcome:
    """Return what a finished step came to, from its record."""
    record = records.read(step.name)
    notes, problems = record.get("notes", []), record.get("problems", [])
    return Outcome(DONE, remark, tuple(notes), tuple(problems), before)
