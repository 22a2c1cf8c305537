"""The figures by name, and saving them.

A new figure is a function from a folder to a matplotlib `Figure`, decorated with `@figure`, in a
module of `paper`; the command and the tests then know it. The folder is a run's, or, where the
decorator says so, one of another kind, several of them, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.disk import replacing
from xattn.errors import RunError, UsageError, near
from xattn.figures.folders import Folder, listed, opened, seen_as, target_of_all, targets
from xattn.figures.venues import VENUES
from xattn.registry import Registry
from xattn.runs import RunFolder, TableFolder
from xattn.runs.again import table_again
from xattn.runs.guard import reading, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[..., "Figure"]

FORMATS = ("png", "pdf", "svg")


class NothingToDrawError(RunError):
    """The tables of a figure are there, but hold no number that it could show."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure and what is known of it.

    Attributes:
        name: as on the command line.
        meaning: its caption: one sentence that says what is shown and what marks and intervals
            mean.
        tables: the folder's CSV tables without which it cannot be drawn.
        draw: makes the figure of a folder; of several where `many`, of nothing where `of` is
            None. Call it inside `style.style()`.
        of: the kind of folder that `draw` takes, None for a figure that needs none.
        many: whether `draw` takes several folders, and makes one figure of them all.
    """

    name: str
    meaning: str
    tables: tuple[str, ...]
    draw: Draw
    of: type[TableFolder] | None = RunFolder
    many: bool = False

    def why_not(self, run: TableFolder) -> str:
        """Say why this figure cannot be drawn from the folder, or return ""."""
        if self.of is None:
            return ""
        if not isinstance(run, self.of):
            return f"it is drawn from a {self.of.__name__}, not a {type(run).__name__}"
        for table in self.tables:
            if not run.has_table(table):
                return f"{table}.csv is not there; write it with {table_again(run.path, table)}"
            if not len(run.table(table)):
                return f"{table}.csv has no rows"
        return ""


FIGURES: Registry[PaperFigure] = Registry(
    "figure",
    package="xattn.figures.paper",
    first=(
        "attribution_grid",
        "attribution_models",
        "agreement",
        "agreement_maps",
        "alignment",
        "feature_usage",
        "usage_heatmap",
        "interventions",
        "dose_response",
        "bias",
        "fairness",
        "trap",
        "calibration",
        "confusion",
        "performance_seeds",
        "critical_difference",
        "usage_over_training",
        "search_history",
        "blocks",
    ),
)
"""In the order in which they are shown."""


def figure(
    name: str,
    *,
    meaning: str,
    tables: Sequence[str] = (),
    of: type[TableFolder] | None = RunFolder,
    many: bool = False,
) -> Callable[[Draw], Draw]:
    """Register a function as the figure `name`; see `PaperFigure` for the arguments."""
    return FIGURES.register(
        name,
        lambda draw: PaperFigure(
            name, meaning, tuple(tables), _taking_one_too(draw) if many else draw, of, many
        ),
    )


def _taking_one_too(draw: Draw) -> Draw:
    """Let a figure of several folders be drawn of a single one by its name alone."""

    @wraps(draw)
    def drawn(runs: TableFolder | Sequence[TableFolder]) -> Figure:
        return draw([runs] if isinstance(runs, TableFolder) else list(runs))

    return drawn


def needs_run(only: str | Sequence[str] | None) -> bool:
    """Say whether any of the figures named (default all) is drawn from a folder."""
    return any(card.of is not None for card in _chosen(only))


def save_figures(
    runs: Folder | Sequence[Folder] = (),
    only: str | Sequence[str] | None = None,
    formats: str | Sequence[str] = ("png",),
    out: str | Path | None = None,
    venue: str = "default",
    strict: bool = True,
    on_note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Draw figures of each run and write them, the same bytes for the same run.

    Figures whose tables are absent or hold nothing to draw are passed over; `PaperFigure.why_not`
    says what is lacking. One that was asked for by name is drawn of the runs that have its data,
    the others are noted, and if `strict` it is an error if none has. Figures that need no run are
    drawn only by name.

    Args:
        runs: run folders, comparisons and the like, or their paths.
        only: names of figures; default all.
        formats: "png" (300 dpi), "pdf" or "svg" (both with text as text).
        out: folder for the files; default RUN/figures. With several runs each gets a folder of
            the run's name inside; a figure of all of them together lies in `out` itself, or else
            in `figures` beside the first run. Without a run `out` is `figures`. Each independent
            output has a folder of its name inside.
        venue: whose widths and text sizes hold, see `venues.VENUES`.
        strict: whether a figure in `only` that no run has the data of is an error, not a note.
        on_note: called with a line on each run that a figure in `only` cannot be drawn of.

    Returns:
        The files written, run by run, then those of all runs together.

    Raises:
        UsageError: a figure, format or venue is not known, or two runs of one name would share a
            folder.
        RunError: a run is not there; or, if `strict`, none has the data of a figure in `only`, and
            all other figures are written.

    Examples:
        >>> xattn.save_figures("xattn-run", only="alignment", formats="png")
        [PosixPath('xattn-run/figures/alignment.png')]
    """
    cards = _chosen(only)
    formats = [formats] if isinstance(formats, str) else list(formats)
    for format in formats:
        if format not in FORMATS:
            raise UsageError(f"Expected a figure format, but got {format!r}{near(format, FORMATS)}")
    if venue not in VENUES:
        raise UsageError(f"Unknown style {venue!r}{near(venue, VENUES)}")
    folders = [opened(run) for run in listed(runs)]
    if not folders and needs_run(only):
        raise UsageError("Expected a run to draw, but got none")
    written = []
    gaps = _Gaps(only is not None, strict)
    save = partial(_save, formats=formats, venue=venue)
    places = targets(folders, "figures", out)
    aligned = target_of_all(folders, "figures", out)
    with reading(*(run.path for run in folders)), ExitStack() as held:
        for run in folders:
            run.require_whole()
        for place in dict.fromkeys([*places, aligned]):
            held.enter_context(writing(place, "xattn figures"))
        for seen in seen_as(folders):
            into = [places[i] / seen.name for i in seen.places]
            written += _drawn(cards, seen.folders, into, aligned / seen.name, save, gaps)
        for card in cards:
            if card.of is None and only is not None:
                written += save(card, None, aligned)
    for gap in gaps.of_some():
        if on_note is not None:
            on_note(gap)
    return written


class _Gaps:
    """Which figures cannot be drawn of which folders, and why.

    Args:
        asked: whether the figures were asked for by name.
        strict: whether one that can be drawn of none is an error.
    """

    def __init__(self, asked: bool, strict: bool) -> None:
        self._asked, self._strict, self._drawn = asked, strict, set[str]()
        self._errors: dict[str, list[RunError]] = {}

    def able(self, card: PaperFigure, folders: Sequence[TableFolder]) -> list[TableFolder]:
        """Return the folders that have the data of a figure."""
        able = []
        for run in folders:
            if reason := card.why_not(run):
                self._add(card, RunError(f"Cannot draw {card.name} of {run.path}: {reason}"))
            else:
                able.append(run)
        return able

    def filled(self, card: PaperFigure, save: Callable[[], list[Path]]) -> list[Path]:
        """Write a figure, unless it finds that there is nothing to draw."""
        try:
            written = save()
        except NothingToDrawError as err:
            self._add(card, err)
            return []
        self._drawn.add(card.name)
        return written

    def of_some(self) -> list[str]:
        """Say of which folders figures that were asked for could not be drawn.

        Raises:
            RunError: one could be drawn of none, which is an error here.
        """
        if not self._asked:
            return []
        for name, errors in self._errors.items():
            if self._strict and name not in self._drawn:
                raise errors[0]
        return [str(err) for errors in self._errors.values() for err in errors]

    def _add(self, card: PaperFigure, error: RunError) -> None:
        self._errors.setdefault(card.name, []).append(error)


def _drawn(
    cards: Sequence[PaperFigure],
    folders: Sequence[TableFolder],
    places: Sequence[Path],
    aligned: Path,
    save: Callable[..., list[Path]],
    gaps: _Gaps,
) -> list[Path]:
    """Draw the figures of each folder, then those of all together."""
    written = []
    for run, target in zip(folders, places, strict=True):
        for card in cards:
            if not card.many and card.of is not None and gaps.able(card, [run]):
                written += gaps.filled(card, partial(save, card, run, target))
    for card in cards:
        if card.many and (able := gaps.able(card, folders)):
            written += gaps.filled(card, partial(save, card, able, aligned))
    return written


def _chosen(only: str | Sequence[str] | None) -> list[PaperFigure]:
    if only is None:
        return list(FIGURES.values())
    names = [only] if isinstance(only, str) else list(only)
    return [FIGURES.find(name) for name in dict.fromkeys(names)]


def _save(
    card: PaperFigure,
    of: TableFolder | Sequence[TableFolder] | None,
    target: Path,
    formats: Sequence[str],
    venue: str,
) -> list[Path]:
    from xattn.figures.style import style

    written = []
    with style(venue):
        drawn = card.draw() if of is None else card.draw(of)
        target.mkdir(parents=True, exist_ok=True)
        for format in formats:
            path = target / f"{card.name}.{format}"
            with replacing(path) as scratch:
                drawn.savefig(scratch, format=format, metadata=_metadata(card, format))
            written.append(path)
    return written


def _metadata(card: PaperFigure, format: str) -> dict[str, Any]:
    """Name the figure inside its file; dates and versions would make the bytes differ."""
    if format == "png":
        return {"Title": card.name, "Description": card.meaning, "Software": None}
    if format == "pdf":
        return {"Title": card.name, "Subject": card.meaning, "CreationDate": None}
    return {"Title": card.name, "Description": card.meaning, "Date": None}
