"""`xattn report` and `xattn figures`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.from_settings import options_of
from xattn.cli.options import common
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE
from xattn.figures.page.settings import ReportSettings


@click.command("report")
@click.argument("runs", nargs=-1, type=PLACE)
@click.option(
    "--out", type=PLACE, help="The page; default RUN/report.html, of several report.html."
)
@options_of(ReportSettings)
@common
def report_command(
    runs: tuple[Path, ...],
    out: Path | None,
    gallery: int,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Write one self-contained HTML page on a run, or on several side by side."""
    from xattn.figures.page.report import report as write_report
    from xattn.runs import last_run

    terminal = Terminal(quiet, as_json)
    page = write_report(list(runs) or [last_run().path], out=out, gallery=gallery)
    pages = [page, *_of_outputs(page, list(runs) or [last_run().path])]
    for one in pages:
        terminal.say(str(one))
    terminal.summary({"reports": [str(one) for one in pages]})


def _of_outputs(page: Path, runs: list[Path]) -> list[Path]:
    """Return the pages of independent outputs, which lie beside the page of all."""
    from xattn.figures.folders import opened, seen_as
    from xattn.figures.page.output_pages import pages_of

    return [one.path for one in pages_of(seen_as([opened(run) for run in runs]), page)]


@click.command("figures")
@click.argument("runs", nargs=-1, type=PLACE)
@click.option("--only", multiple=True, help="Name of a figure, or tables; repeatable.")
@click.option("--format", "formats", default="png", show_default=True, help="pdf, svg, png.")
@click.option(
    "--style",
    "venue",
    default="default",
    show_default=True,
    help="Journal style (column width, fonts).",
)
@click.option("--out", type=PLACE, help="Folder; default RUN/figures and RUN/tables.")
@common
def figures_command(
    runs: tuple[Path, ...],
    only: tuple[str, ...],
    formats: str,
    venue: str,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Draw figures and write tables for papers, of each run folder and of all together."""
    from xattn.figures.registry import needs_run, save_figures
    from xattn.figures.tables import save_tables
    from xattn.runs import last_run
    from xattn.runs.again import record_again

    terminal = Terminal(quiet, as_json)
    folders = list(runs)
    drawn = [name for name in only if name != "tables"]
    with_tables = not only or "tables" in only
    if not folders and (with_tables or needs_run(drawn)):
        folders = [last_run().path]
    figures, tables = [], []
    if drawn or not only:
        kinds = tuple(f.strip() for f in formats.split(","))
        figures = save_figures(folders, drawn or None, kinds, out, venue, on_note=terminal.problem)
    if with_tables:
        tables = save_tables(folders, out=out)
    for path in [*figures, *tables]:
        terminal.say(str(path))
    notes = _notes(folders) if figures else []
    if not (figures or tables):
        told = ", ".join(map(str, folders)) or "no run"
        ways = " and ".join(record_again(one, "analysis.json") for one in folders)
        way_out = f"; measure them with {ways}" if ways else ""
        notes.append(f"nothing to draw: {told} holds predictions alone{way_out}")
    for note in notes:
        terminal.say(f"Note: {note}")
    terminal.summary({
        "figures": [str(path) for path in figures], "tables": [str(path) for path in tables],
        "notes": notes,
    })  # fmt: skip


def _notes(folders: list[Path]) -> list[str]:
    """Say of which runs it is not known where their maps lie."""
    from xattn.figures.folders import opened
    from xattn.runs import RunFolder
    from xattn.runs.places import spread_note

    runs = [run for run in map(opened, folders) if isinstance(run, RunFolder)]
    found = [(run, spread_note(run.spread_evenly)) for run in runs]
    return [f"{run.path}: {note}" for run, note in found if note]
