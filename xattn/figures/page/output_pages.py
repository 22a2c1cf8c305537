"""A page for each independent output, and what the page before them says of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from xattn.figures.folders import Seen
from xattn.figures.page.summary import Summary


@dataclass(frozen=True)
class OutputPage:
    """A page.

    Attributes:
        output: that it is about.
        path: the file.
        href: where it is, seen from the others.
    """

    output: str
    path: Path
    href: str

    @classmethod
    def of(cls, seen: Seen, whole: Path) -> OutputPage:
        """Return the page of an output beside the page of all.

        Args:
            seen: the output.
            whole: the page of all.
        """
        path = whole.with_name(f"{whole.stem}-{seen.name}{whole.suffix}")
        return cls(seen.output, path, quote(path.name))


@dataclass(frozen=True)
class OverviewRow:
    """What is said of one output of one run: name and (title, value, note) of its facts."""

    output: str
    model: str
    facts: list[tuple[str, str, str]]


def pages_of(shown: Sequence[Seen], whole: Path) -> list[OutputPage]:
    """Return the pages of independent outputs beside the page of all; none for a single one.

    Args:
        shown: what is shown.
        whole: the page of all.
    """
    return [OutputPage.of(seen, whole) for seen in shown] if len(shown) > 1 else []


def overview_rows(output: str, said: Iterable[tuple[str, Summary]]) -> list[OverviewRow]:
    """Return the rows of an output.

    Args:
        output: its name.
        said: name of each run, and the summary on its page.
    """
    return [
        OverviewRow(output, name, [(f.title, f.value, f.note) for f in summary.facts])
        for name, summary in said
    ]
