"""The course of a study: which steps are settled, and which can be done now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xattn.disk import writing_to
from xattn.errors import UsageError
from xattn.runs.atomic import write_json
from xattn.study.outcome import BLOCKED, ELSEWHERE, OnStep, Outcome
from xattn.study.standing import DONE, require_leave, standing_of
from xattn.study.steps import Records, Step

MARK = "study.json"
"""Marks the folder as a study's, whose figures are nobody's inputs."""


class Course:
    """Which steps are settled, and what they came to.

    Args:
        steps: in an order in which each comes after what it needs.
        tell: takes what steps come to.
    """

    def __init__(self, steps: Sequence[Step], tell: OnStep) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.tell, self._steps = tell, steps
        self._waited: set[str] = set()

    @property
    def ended(self) -> bool:
        """Whether all steps are settled."""
        return len(self.outcomes) == len(self._steps)

    def open_steps(self) -> Iterator[Step]:
        """Give the steps that can be done, as it stands when each is asked for.

        Those that lack what they need are settled as blocked on the way.
        """
        for step in self._steps:
            if step.name in self.outcomes or not self._ready(step):
                continue
            if missing := self._missing(step):
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                self.settle(step, Outcome(BLOCKED, f"needs {missing[0]}{more}"))
                continue
            yield step

    def taken(self, step: Step) -> tuple[str, ...]:
        """Return the names of the steps whose results a step takes."""
        return tuple(name for name in (*step.needs, *step.gathers) if self._done(name))

    def settle(self, step: Step, outcome: Outcome) -> None:
        """Take in what a step came to; one that another process is at stays open.

        Args:
            step: that can be done.
            outcome: of it.
        """
        if outcome.state != ELSEWHERE:
            self.outcomes[step.name] = outcome
        elif step.name in self._waited:
            return
        else:
            self._waited.add(step.name)
        self.tell(step, outcome)

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


def begin_study(
    steps: Sequence[Step], out: Path, *, redo: bool, call: Mapping[str, Any] | None
) -> None:
    """Make the folder of a study, unless steps would have to be done again without leave.

    Args:
        steps: of the study.
        out: its folder.
        redo: whether steps may be done again.
        call: record of the call that does so.

    Raises:
        UsageError: there is no leave, or a file in place of the folder.
        DiskError: it cannot be made.
    """
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
