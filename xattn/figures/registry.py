"""The figures by name, and saving them.

A new figure is a function from a folder to a matplotlib `Figure`, decorated with `@figure`, in a
module listed in `_MODULES`; the command, the report and the tests then know it. The folder is a
run's, or, where the decorator says so, one of another kind.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.errors import RunError, UsageError, near
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.runs.atomic import replacing
from xattn.runs.columns import WRITTEN_BY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Any], "Figure"]
Folder = TableFolder | str | Path

FORMATS = ("png", "pdf", "svg")

_MODULES = (
    "attribution_grid",
    "alignment",
    "feature_usage",
    "bias",
    "calibration",
    "performance_seeds",
    "critical_difference",
    "usage_over_training",
)


@dataclass(frozen=True)
class FigureCard:
    """A figure and what is known of it.

    Attributes:
        name: as on the command line.
        caption: one sentence that says what is shown and what marks and intervals mean.
        tables: the folder's CSV tables without which it cannot be drawn.
        draw: makes the figure; call it inside `style.style()`.
        of: the kind of folder that `draw` takes.
    """

    name: str
    caption: str
    tables: tuple[str, ...]
    draw: Draw
    of: type[TableFolder] = RunFolder

    def why_not(self, run: TableFolder) -> str:
        """Say why this figure cannot be drawn from the folder, or return ""."""
        if not isinstance(run, self.of):
            return f"it is drawn from a {self.of.__name__}, not a {type(run).__name__}"
        for table in self.tables:
            if not run.has_table(table):
                return f"{table}.csv is not there; write it with `{WRITTEN_BY[table]}`"
            if not len(run.table(table)):
                return f"{table}.csv has no rows"
        return ""


FIGURES: dict[str, FigureCard] = {}


def figure(
    name: str, caption: str, tables: Sequence[str] = (), of: type[TableFolder] = RunFolder
) -> Callable[[Draw], Draw]:
    """Register a function as the figure `name`; see `FigureCard` for the arguments."""

    def register(draw: Draw) -> Draw:
        FIGURES[name] = FigureCard(name, caption, tuple(tables), draw, of)
        return draw

    return register


def known_figures() -> dict[str, FigureCard]:
    """Return every figure by its name, in the order they are shown."""
    for module in _MODULES:
        importlib.import_module(f"xattn.figures.{module}")
    return dict(FIGURES)


def save_figures(
    runs: Folder | Sequence[Folder],
    only: str | Sequence[str] | None = None,
    formats: str | Sequence[str] = ("png",),
    out: str | Path | None = None,
) -> list[Path]:
    """Draw figures of each run and write them, the same bytes for the same run.

    Figures whose tables are absent are passed over, unless they were asked for by name;
    `FigureCard.why_not` says what is lacking.

    Args:
        runs: run folders or comparisons, or their paths.
        only: names of figures; default all.
        formats: "png" (300 dpi), "pdf" or "svg" (both with text as text).
        out: folder for the files; default RUN/figures. With several runs each gets a folder of
            the run's name inside.

    Returns:
        The files written, run by run.

    Raises:
        UsageError: a figure or format is not known, or two runs of one name would share a folder.
        RunError: a run is not there, or lacks the table of a figure in `only`.
    """
    cards = _chosen(only)
    formats = [formats] if isinstance(formats, str) else list(formats)
    for format in formats:
        if format not in FORMATS:
            raise UsageError(f"Expected a figure format, but got {format!r}{near(format, FORMATS)}")
    folders = [_opened(run) for run in _listed(runs)]
    written = []
    for run, target in zip(folders, _targets(folders, out), strict=True):
        for card in cards:
            reason = card.why_not(run)
            if reason and only is not None:
                raise RunError(f"Cannot draw {card.name} of {run.path}: {reason}")
            if not reason:
                written += _save(card, run, target, formats)
    return written


def _chosen(only: str | Sequence[str] | None) -> list[FigureCard]:
    cards = known_figures()
    if only is None:
        return list(cards.values())
    names = [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in cards:
            raise UsageError(f"Unknown figure {name!r}{near(name, cards)}")
    return [cards[name] for name in dict.fromkeys(names)]


def _listed(runs: Folder | Sequence[Folder]) -> Sequence[Folder]:
    return [runs] if isinstance(runs, TableFolder | str | Path) else runs


def _opened(run: Folder) -> TableFolder:
    if isinstance(run, TableFolder):
        return run
    comparison, tables = ComparisonFolder(Path(run)), TableFolder(Path(run))
    if comparison.is_there:
        return comparison
    if tables.has_table("usage_over_training") and not (tables.path / "run.json").is_file():
        return tables
    return RunFolder.open(run)


def _targets(runs: Sequence[TableFolder], out: str | Path | None) -> list[Path]:
    if out is None:
        return [run.path / "figures" for run in runs]
    if len(runs) == 1:
        return [Path(out)]
    targets = [Path(out) / run.path.resolve().name for run in runs]
    if len(set(targets)) < len(targets):
        raise UsageError(
            f"Expected runs of different names for {out}, but two share one; leave --out away"
        )
    return targets


def _save(card: FigureCard, run: TableFolder, target: Path, formats: Sequence[str]) -> list[Path]:
    from xattn.figures.style import style

    target.mkdir(parents=True, exist_ok=True)
    written = []
    with style():
        drawn = card.draw(run)
        for format in formats:
            path = target / f"{card.name}.{format}"
            with replacing(path) as scratch:
                drawn.savefig(scratch, format=format, metadata=_metadata(card, format))
            written.append(path)
    return written


def _metadata(card: FigureCard, format: str) -> dict[str, Any]:
    """Name the figure inside its file; dates and versions would make the bytes differ."""
    if format == "png":
        return {"Title": card.name, "Description": card.caption, "Software": None}
    if format == "pdf":
        return {"Title": card.name, "Subject": card.caption, "CreationDate": None}
    return {"Title": card.name, "Description": card.caption, "Date": None}
