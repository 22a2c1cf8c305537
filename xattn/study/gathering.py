"""What the steps of a study do that take all its models: compare, draw, tabulate, judge, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.study.actions import Action, of_record

if TYPE_CHECKING:
    from xattn.analysis.settings import CompareSettings
    from xattn.study.claims.measured import Measured
    from xattn.study.claims.settings import Claim
    from xattn.study.recipe import FiguresSettings, TablesSettings
    from xattn.study.steps import Telling


def comparing(
    scored: Mapping[str, tuple[str, Path]], folder: Path, settings: CompareSettings
) -> Action:
    """Return what compares the models over their seeds."""

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        from xattn.analysis.comparison.compare import compare

        runs = [f"{name}={path}" for step, (name, path) in scored.items() if step in taken]
        for note in compare(runs, folder, settings=settings).notes:
            say.note(note)
        return of_record(folder / "comparison.json")

    return run


def drawing(
    runs: Mapping[str, Path], comparison: Path, folder: Path, settings: FiguresSettings
) -> Action:
    """Return what draws the figures; one without data does not stop the others."""

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        from xattn.figures.registry import save_figures

        how: dict[str, Any] = {
            "formats": settings.formats,
            "venue": settings.venue,
            "strict": False,
            "on_note": say.note,
        }
        written: list[Path] = []
        if own := [path for step, path in runs.items() if step in taken]:
            written += save_figures(own, only=settings.runs, out=folder, **how)
        if "compare" in taken:
            place = folder / "comparison"
            written += save_figures(comparison, only=settings.comparison, out=place, **how)
        return written

    return run


def tabulating(
    runs: Mapping[str, Path], comparison: Path, folder: Path, settings: TablesSettings
) -> Action:
    """Return what writes the tables for papers."""

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        from xattn.figures.tables import save_tables

        written: list[Path] = []
        if own := [path for step, path in runs.items() if step in taken]:
            written += save_tables(own, only=settings.runs, out=folder)
        if "compare" in taken:
            written += save_tables(comparison, only=settings.comparison, out=folder / "comparison")
        return written

    return run


def claiming(
    claims: Sequence[Claim],
    networks: Sequence[tuple[str, str, Measured]],
    comparison: Path,
    folder: Path,
    alpha: float,
) -> Action:
    """Return what holds claims against what was found; `networks` by the two steps of each."""

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        from xattn.study.claims.write import write_claims

        own = [one for usage, scored, one in networks if {usage, scored} <= set(taken)]
        found = comparison if "compare" in taken else None
        return write_claims(claims, own, found, folder, alpha)

    return run


def reporting(runs: Mapping[str, Path], page: Path) -> Action:
    """Return what writes the page; it names the models that are missing."""

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        from xattn.figures.page.report import report

        page.parent.mkdir(parents=True, exist_ok=True)
        lost = [path.name for step, path in runs.items() if step not in taken]
        notes = [f"Not on this page, since a step of theirs failed: {', '.join(lost)}"]
        shown = [path for step, path in runs.items() if step in taken]
        return [report(shown, out=page, notes=notes if lost else ())]

    return run
