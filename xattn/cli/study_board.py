"""What `xattn study` shows while it runs: a board on a terminal, a line a step elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from xattn.cli.terminal import Terminal
from xattn.cli.text import visible

if TYPE_CHECKING:
    from rich.table import Table

    from xattn.study.execute import Outcome
    from xattn.study.steps import Step


class Lines:
    """A line when a step begins and one when it ends.

    Args:
        terminal: lines go to stderr.
        steps: of the study.
    """

    def __init__(self, terminal: Terminal, steps: Sequence[Step]) -> None:
        self._terminal, self._numbers = terminal, {one.name: i for i, one in enumerate(steps, 1)}

    def step(self, step: Step, outcome: Outcome) -> None:
        """Say what a step has come to; those that need what failed are counted at the end."""
        state, remark = outcome.state, outcome.remark
        if state == "blocked":
            return
        place = f"{self._numbers[step.name]}/{len(self._numbers)}"
        line = f"{place} {step.name}: {state}" + (f", {remark}" if remark else "")
        self._terminal.remark(line)

    def progress(self, done: int, total: int) -> None:
        """Say nothing between the lines."""


class Board:
    """A table that is drawn anew: a row a kind of step, and the step at work.

    Args:
        steps: of the study.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._totals = Counter(one.kind for one in steps)
        self._counts: dict[str, Counter[str]] = {kind: Counter() for kind in self._totals}
        self._current: dict[str, str] = {}
        self._working = ""
        self._live = Live(self._table(), console=Console(stderr=True), refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def step(self, step: Step, outcome: Outcome) -> None:
        """Take in what a step has come to; failures stay on the screen above the board."""
        from rich.text import Text

        state, remark = outcome.state, outcome.remark
        self._working = step.kind
        if state in ("running", "elsewhere"):
            self._current[step.kind] = f"{step.name} {remark}".strip()
        else:
            self._counts[step.kind][state] += 1
            self._current.pop(step.kind, None)
        if state == "failed":
            self._live.console.print(Text(visible(f"{step.name}: {state}, {remark}"), "red"))
        self._live.update(self._table())

    def progress(self, done: int, total: int) -> None:
        """Show how far the step at work is."""
        if self._working not in self._current:
            return
        name = self._current[self._working].partition(" ")[0]
        self._current[self._working] = f"{name} {done}/{total}"
        self._live.update(self._table())

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table("step", "done", "failed", "blocked", "at work", box=None)
        for kind, total in self._totals.items():
            counts = self._counts[kind]
            cells = [f"{counts['done']}/{total}", counts["failed"] or "", counts["blocked"] or ""]
            table.add_row(kind, *map(str, cells), Text(visible(self._current.get(kind, ""))))
        return table
