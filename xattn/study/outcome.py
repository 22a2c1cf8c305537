"""What a step of a study comes to, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xattn.study.steps import Step

FAILED, BLOCKED, RUNNING, ELSEWHERE = "failed", "blocked", "running", "elsewhere"


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
"""Takes what a step comes to, when it begins and when it ends."""
OnStepProgress = Callable[[Step, int, int], None]
"""Takes (done, total) of a step at work."""
