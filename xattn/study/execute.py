"""Doing the steps of a study: what is done is passed over, what fails stops only what needs it.

Several processes may do so in one folder: each step has a lock, and one that another process has
is left to it.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xattn.disk import disk_error, writing_into, writing_to
from xattn.errors import DiskError, UsageError, XattnError, one_line
from xattn.runs.atomic import write_json
from xattn.runs.calls import record_call
from xattn.runs.locks import Taken, take
from xattn.study.plan import plan_study
from xattn.study.read_recipe import read_study
from xattn.study.standing import (
    AGAIN,
    DONE,
    NEW,
    UNFINISHED,
    Standing,
    require_leave,
    standing,
    standing_of,
)
from xattn.study.steps import Records, Step, Telling

FAILED, BLOCKED, RUNNING, ELSEWHERE = "failed", "blocked", "running", "elsewhere"
MARK = "study.json"
"""Marks the folder as a study's, whose figures are nobody's inputs."""
_PAUSE = 1.0


@dataclass(frozen=True)
class Outcome:
    """What a step has come to.

    Attributes:
        state: "running", "elsewhere" (another process is at it), "done", "failed" or "blocked"
            (it needs one that failed).
        remark: how long it took, why it failed, what it needs.
        notes: what must be known to read its results.
        problems: what it left out.
        before: whether it was done by an earlier call.
    """

    state: str
    remark: str = ""
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    before: bool = False


OnStep = Callable[[Step, Outcome], None]
OnProgress = Callable[[int, int], None]


def run_study(
    recipe: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    device: str = "auto",
    redo: bool = False,
    on_step: OnStep | None = None,
    progress: OnProgress | None = None,
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
        progress: called with (done, total) of the step at work.

    Returns:
        Name of each step -> what it came to: "done", "failed" or "blocked".

    Raises:
        XattnError: the recipe is wrong.
        UsageError: steps would have to be done again, without `redo`.

    Examples:
        >>> outcomes = xattn.run_study("study.toml", "study")
        >>> outcomes["report"].state
        'done'
    """
    steps = plan_study(read_study(recipe, data), Path(out), device)
    call = call_of(recipe, out, data, device)
    return execute(steps, Path(out), redo=redo, call=call, on_step=on_step, progress=progress)


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
    progress: OnProgress | None = None,
) -> dict[str, Outcome]:
    """Do steps in order; see `run_study`. `call` is the record of the call that does so."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"Expected a folder for the study, but got the file {out}")
    records = Records(out)
    if not redo:
        require_leave(steps, standing_of(steps, records))
    with writing_to(out, "write into"):
        records.folder.mkdir(parents=True, exist_ok=True)
    names = [step.name for step in steps]
    mark = {"schema": "xattn-study/1", "steps": names, "call": call}
    write_json(out / MARK, mark, shared=True)
    worker = _Worker(records, redo, on_step or _ignore_step, progress or _ignore_progress)
    with writing_into(out):
        while len(worker.outcomes) < len(steps):
            if not worker.go_through(steps):
                time.sleep(_PAUSE)
    return worker.outcomes


class _Worker:
    """Does the steps that are ready and that no other process does.

    Args:
        records: of the study.
        redo: whether steps of other settings or inputs may be done again.
        tell: takes what steps come to.
        progress: takes (done, total) of the step at work.
    """

    def __init__(self, records: Records, redo: bool, tell: OnStep, progress: OnProgress) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._records, self._tell, self._progress = records, tell, progress
        self._redo = redo
        self._waited: set[str] = set()

    def go_through(self, steps: Sequence[Step]) -> bool:
        """Settle what can be settled now; returns whether there was anything."""
        before = len(self.outcomes)
        for step in steps:
            if step.name in self.outcomes or not self._ready(step):
                continue
            if missing := self._missing(step):
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                self._settle(step, Outcome(BLOCKED, f"needs {missing[0]}{more}"))
                continue
            try:
                release = take(self._records.path(step.name, ".lock"), f"xattn study: {step.name}")
            except Taken as err:
                self._wait(step, err.holder)
                continue
            try:
                self._settle(step, self._do(step))
            finally:
                release()
        return len(self.outcomes) > before

    def _ready(self, step: Step) -> bool:
        return all(name in self.outcomes for name in (*step.needs, *step.gathers))

    def _done(self, name: str) -> bool:
        return self.outcomes[name].state == DONE

    def _missing(self, step: Step) -> list[str]:
        """Name the steps for want of which a step cannot be done."""
        missing = [name for name in step.needs if not self._done(name)]
        gathered = [name for name in step.gathers if self._done(name)]
        if step.gathers and not gathered:
            missing += step.gathers
        return missing or step.lacking(gathered)

    def _settle(self, step: Step, outcome: Outcome) -> None:
        self.outcomes[step.name] = outcome
        self._tell(step, outcome)

    def _wait(self, step: Step, holder: Mapping[str, object]) -> None:
        if step.name not in self._waited:
            self._waited.add(step.name)
            who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
            self._tell(step, Outcome(ELSEWHERE, f"{who} is at it"))

    def _do(self, step: Step) -> Outcome:
        """Do one step unless it is done."""
        records, started = self._records, time.perf_counter()
        error = records.path(step.name, ".error.txt")
        taken = tuple(name for name in (*step.needs, *step.gathers) if self._done(name))
        left = tuple(name for name in step.gathers if name not in taken)
        said = Telling(self._progress)
        facts: dict[str, object] = {}
        try:
            facts = records.facts(step, taken)
            now = standing(step, taken, records)
            if now.state == DONE:
                return _outcome(records, step, "was done", before=True)
            goes_on = (
                now.state == UNFINISHED
                and step.resumes
                and records.read(step.name).get("facts") == facts
            )
            if not goes_on:
                self._clear(step, now)
            records.begin(step.name, facts)
            self._tell(step, Outcome(RUNNING, "goes on" if goes_on else now.why))
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
        return _outcome(records, step, f"{seconds:.1f} s{without}")

    def _clear(self, step: Step, now: Standing) -> None:
        """Empty the folder of a step.

        Raises:
            XattnError: the study has no record of it, or no leave to lose what it holds.
        """
        if now.state == AGAIN and not (self._redo or step.cheap):
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


def _outcome(records: Records, step: Step, remark: str, before: bool = False) -> Outcome:
    """Return what a finished step came to, from its record."""
    record = records.read(step.name)
    notes, problems = record.get("notes", []), record.get("problems", [])
    return Outcome(DONE, remark, tuple(notes), tuple(problems), before)


def _ignore_step(_step: Step, _outcome: Outcome) -> None:
    """Tell nobody."""


def _ignore_progress(_done: int, _total: int) -> None:
    """Tell nobody."""
