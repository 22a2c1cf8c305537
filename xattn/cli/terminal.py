"""What a person sees while a command runs, and what a machine reads after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn import errors
from xattn.cli.cells import cell
from xattn.cli.text import visible

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
MOST_PROBLEMS = 20


@dataclass
class Terminal:
    """Talks to the person at the terminal: progress and remarks on stderr, results on stdout.

    With `quiet` it says nothing, with `as_json` the summary alone, as JSON on stdout.
    """

    quiet: bool = False
    as_json: bool = False
    problems: list[str] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """Print one line of the result for a person."""
        if not (self.quiet or self.as_json):
            click.echo(visible(text))

    def say_lines(self, text: object) -> None:
        """Print several lines."""
        for line in str(text).split("\n"):
            self.say(line)

    def remark(self, text: str) -> None:
        """Print one line of progress on stderr."""
        if not (self.quiet or self.as_json):
            click.echo(visible(text), err=True)

    def problem(self, problem: object) -> None:
        """Remark on one input that is left out; after twenty only count."""
        self.problems.append(str(problem))
        if len(self.problems) <= MOST_PROBLEMS:
            click.echo(visible(f"Skipped: {problem}"), err=True)
        elif len(self.problems) == MOST_PROBLEMS + 1:
            click.echo("Skipped: more of them, not shown", err=True)

    def summary(self, facts: dict[str, Any]) -> None:
        """Print the machine-readable summary if it was asked for."""
        if self.as_json:
            click.echo(errors.shown(json.dumps(facts, indent=2, default=str)))

    def table(
        self,
        frame: pd.DataFrame,
        title: str,
        formats: dict[str, str] | None = None,
        notes: Iterable[str] = (),
    ) -> None:
        """Print a table for a person; one line where it has no rows.

        Args:
            frame: the table.
            title: its heading.
            formats: of columns with numbers, by name; default three significant digits.
            notes: what is to be said of rows that are not shown; a line each, indented below the
                table, or below its heading where it has no rows.
        """
        if self.quiet or self.as_json:
            return
        if frame.empty:
            asked = title.partition(" (")[0]
            self.say(f"{asked}{'' if asked.endswith('?') else ':'} nothing to show.")
        else:
            self._rows(frame, title, formats or {})
        for note in notes:
            self.say(f"  {note}")

    def _rows(self, frame: pd.DataFrame, title: str, formats: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        shown = Table(
            title=Text(visible(title)), title_justify="left", header_style="bold", box=None
        )
        for column in frame.columns:
            numeric = frame[column].dtype.kind in "fiu"
            shown.add_column(Text(visible(str(column))), justify="right" if numeric else "left")
        for row in frame.itertuples(index=False):
            cells = zip(frame.columns, row, strict=True)
            texts = (cell(value, formats.get(str(column))) for column, value in cells)
            shown.add_row(*(Text(visible(text)) for text in texts))
        console = Console()
        if not console.is_terminal:  # a pipe has no width; cut to 80 columns, numbers would be lost
            console = Console(width=120)
        console.print(shown, soft_wrap=False)

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Show a bar with an estimate on stderr; gives the function that moves it.

        A bar that never moved goes away again: what ended before it is said in an error.
        """
        if self.quiet or self.as_json:
            yield lambda _done, _total: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        console = Console(stderr=True)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            task = bar.add_task(label, total=None)

            def move(done: int, total: int) -> None:
                bar.live.transient = False
                bar.update(task, completed=done, total=total)

            yield move
