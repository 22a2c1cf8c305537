"""Writing the tables of papers into folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xattn.disk import replacing
from xattn.errors import UsageError, near
from xattn.figures.folders import (
    Folder,
    listed,
    opened,
    run_name,
    run_names,
    seen_as,
    target_of_all,
    targets,
)
from xattn.figures.tables.papers import (
    Paper,
    paper_of_run,
    paper_of_runs,
    papers_of_comparison,
    printed_of_runs,
)
from xattn.figures.tables.writers import WRITERS
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.runs.guard import reading, writing
from xattn.runs.tables import TABLES

FORMATS = tuple(WRITERS)


def save_tables(
    runs: Folder | Sequence[Folder],
    only: str | Sequence[str] | None = None,
    formats: str | Sequence[str] = FORMATS,
    out: str | Path | None = None,
) -> list[Path]:
    """Write the tables of each run, the same bytes for the same run.

    Tables whose CSV file the folder lacks are passed over. Several runs get their tables each, and
    then the same tables with the models beside each other, as far as two of them have one.

    Args:
        runs: run folders or comparisons, or their paths; other folders have no tables of papers.
        only: names of tables that papers get, such as "verdicts", or "comparison" of a
            comparison; default all.
        formats: "csv" (the rounded numbers, intervals in columns of their own), "tex" (LaTeX with
            booktabs) or "md" (Markdown).
        out: folder for the files; default RUN/tables. With several runs each gets a folder of the
            run's name inside; those of all models together lie in `out` itself, or else in
            `tables` beside the first run. Each independent output has a folder of its name inside.

    Returns:
        The files written, run by run, then those of all together.

    Raises:
        UsageError: a table or format is not known, or two runs of one name would share a folder,
            or one is named twice.
        RunError: a run is not there.

    Examples:
        >>> xattn.save_tables("xattn-run", only="verdicts", formats="md")
        [PosixPath('xattn-run/tables/verdicts.md')]
    """
    names = _known(only, printed_tables(), "table")
    endings = _known(formats, FORMATS, "table format")
    folders = [opened(run) for run in listed(runs)]
    written = []
    with reading(*(folder.path for folder in folders)):
        for folder in folders:
            folder.require_whole()
        places = targets(folders, "tables", out)
        for seen in seen_as(folders):
            for folder, place in zip(seen.folders, seen.places, strict=True):
                written += _write(_papers(folder, names), places[place] / seen.name, endings)
            models = [folder for folder in seen.folders if isinstance(folder, RunFolder)]
            if len(models) > 1:
                by_name = dict(zip(run_names(models), models, strict=True))
                found = (paper_of_runs(n, by_name) for n in names if n in printed_of_runs())
                target = target_of_all(folders, "tables", out) / seen.name
                written += _write([paper for paper in found if paper], target, endings)
    return written


def printed_tables() -> list[str]:
    """Return the names of the tables that papers get."""
    return [name for name, table in TABLES.items() if table.printed]


def _known(asked: str | Sequence[str] | None, known: Sequence[str], what: str) -> list[str]:
    names = list(known) if asked is None else [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in known:
            raise UsageError(f"Unknown {what} {name!r}{near(name, known)}")
    return list(dict.fromkeys(names))


def _papers(folder: TableFolder, names: Sequence[str]) -> list[Paper]:
    if isinstance(folder, ComparisonFolder):
        return [p for p in papers_of_comparison(folder) if p.sheet.name in names]
    if not isinstance(folder, RunFolder):
        return []
    found = (
        paper_of_run(name, folder, run_name(folder)) for name in names if name in printed_of_runs()
    )
    return [paper for paper in found if paper]


def _write(papers: Sequence[Paper], target: Path, endings: Sequence[str]) -> list[Path]:
    written = []
    with writing(target, "xattn figures"):
        for paper in papers:
            for ending in endings:
                path = target / f"{paper.sheet.name}.{ending}"
                with replacing(path) as scratch:
                    scratch.write_text(WRITERS[ending](paper), encoding="utf-8", newline="\n")
                written.append(path)
    return written
