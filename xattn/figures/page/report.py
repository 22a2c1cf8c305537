"""One page that shows what a model looks at: self-contained, readable offline and on a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pandas as pd

from xattn import errors
from xattn.analysis.alignment.scores import degenerate
from xattn.disk import replacing
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.folders import seen_as
from xattn.figures.numbers import listed, readable, unbroken
from xattn.figures.page.gallery import MOST_BYTES as MOST_THUMBNAILS
from xattn.figures.page.gallery import make_gallery
from xattn.figures.page.listing import make_listing, positive_of, said_of
from xattn.figures.page.model_card import model_card, model_name
from xattn.figures.page.output_pages import overview_rows, pages_of
from xattn.figures.page.performance import Performance, as_evaluated, held_out_performance
from xattn.figures.page.reproduce import commands
from xattn.figures.page.sections import make_sections
from xattn.figures.page.settings import ReportSettings
from xattn.figures.page.summary import Summary, summarise
from xattn.figures.run_sources import RunSources
from xattn.figures.style import DARK
from xattn.paths import as_path
from xattn.runs import RunFolder
from xattn.runs.guard import LOCK, reading, writing

MOST_ERRORS = 200
"""Problems listed in the page; the rest stays in errors.csv."""
FIRST_TILES = 30
"""Images shown before a reader asks for more."""

_MOST_SHOWN = 11_500_000  # bytes of thumbnails, figures and tables together
_BLOCK = 2**24  # values of maps that are looked through at a time
_MOST_SETTINGS = 40_000  # characters of run.json and analysis.json, each

Run = RunFolder | str | Path


@dataclass(frozen=True)
class Part:
    """What the page says of one run, its tables and thumbnails apart.

    Attributes:
        name, model: of the run's folder; of its architecture.
        summary, scores: findings; performance, None without labels.
        card: (title, text) pairs on the model.
        settings, analysis: run.json and analysis.json as text, "" if there is none.
    """

    name: str
    model: str
    summary: Summary
    scores: Performance | None
    card: list[tuple[str, str]]
    settings: str
    analysis: str


def report(
    run: Run | Sequence[Run],
    *,
    out: str | Path | None = None,
    gallery: int = ReportSettings.gallery,
    notes: Sequence[str] = (),
) -> Path:
    """Write the report of a run, or of several side by side: one HTML file, nothing beside it.

    Each of several independent outputs has a page of its own, `report-<output>.html`;
    `report.html` is then a table of them.

    Made from run folders and image files alone; the same runs give the same bytes. What is not
    there (tables before `xattn feature-usage`, images that were moved) is said in its place.

    Args:
        run: a finished run folder, or several whose images are the same; images that only some
            of them hold are left out of the thumbnails.
        out: the file; default RUN/report.html, or report.html here for several runs.
        gallery: number of images shown; fewer where they would not fit 9 MB.
        notes: lines that the page begins with, such as models that are missing.

    Returns:
        Path of the file.

    Raises:
        RunError: there is no finished run.
        UsageError: the runs hold no common image, or one is named twice.

    Examples:
        >>> page = xattn.report("xattn-run", gallery=4)
        >>> page.name
        'report.html'
    """
    given = [run] if isinstance(run, RunFolder | str | Path) else list(run)
    runs = [r if isinstance(r, RunFolder) else RunFolder.open(r) for r in given]
    alone = runs[0].path / "report.html" if len(runs) == 1 else Path("report.html")
    target = as_path(out, "a page") if out is not None else alone
    settings = ReportSettings(gallery)
    with (
        reading(*(one.path for one in runs)),
        writing(target.parent, "xattn report", f".{target.name}{LOCK}"),
    ):
        for one in runs:
            one.require_whole()
        shown = seen_as(runs)
        pages = pages_of(shown, target)
        rows = []
        for i, seen in enumerate(shown):
            aligned = AlignedRuns.of([one for one in seen.folders if isinstance(one, RunFolder)])
            place = pages[i].path if pages else target
            content = _content(aligned, settings, place)
            more: dict[str, Any] = {
                "pages": pages,
                "output": seen.output,
                "overview": quote(target.name),
                "of_value": aligned.runs[0].of_value,
                "notes": list(notes),
            }
            _write(place, "report.html.j2", {**content, **more})
            rows += overview_rows(seen.output, ((p.name, p.summary) for p in content["parts"]))
        if pages:
            aligned = AlignedRuns.of([RunFolder(one.path) for one in runs])
            _write(target, "outputs.html.j2", {
                "pages": pages, "rows": rows, "many": len(runs) > 1, "models": aligned.names,
                "of_value": runs[0].of_value, "notes": list(notes),
                "title": listed(list(dict.fromkeys(model_name(one) for one in runs))),
                "images": aligned.rows.shape[1], "commands": commands(aligned, settings),
            })  # fmt: skip
    return target


def _write(path: Path, template: str, content: dict[str, Any]) -> None:
    page = _environment().get_template(template).render(content)
    with replacing(path) as scratch:
        scratch.write_text(errors.shown(page), encoding="utf-8")


def _content(aligned: AlignedRuns, settings: ReportSettings, target: Path) -> dict[str, Any]:
    """Gather all that the template shows."""
    parts = [_part(*pair) for pair in zip(aligned.sources, aligned.names, strict=True)]
    sections = make_sections(aligned)
    taken = sum(panel.size for section in sections for panel in section.panels)
    gallery = make_gallery(aligned, settings.gallery, min(MOST_THUMBNAILS, _MOST_SHOWN - taken))
    images = np.array([tile.image for tile in gallery.tiles], np.intp)
    positive = positive_of(aligned)
    errors, errors_total = _errors(aligned)
    return {
        "title": listed(list(dict.fromkeys(part.model for part in parts))),
        "many": len(parts) > 1,
        "parts": parts,
        "methods": aligned.methods,
        "models": aligned.names,
        "left_out": aligned.left_out,
        "gallery": gallery,
        "first": FIRST_TILES,
        "said": [said_of(aligned, int(image), positive) for image in images],
        "labels": aligned.labels,
        "positive": positive,
        "features": aligned.features,
        "artifacts": aligned.artifacts,
        "attended": bool(np.isfinite(aligned.lifts).any()),
        "taught": bool(aligned.in_training.any()),
        "listing": make_listing(aligned, images, target),
        "sections": sections,
        "inks": DARK,
        "errors": errors,
        "errors_total": errors_total,
        "commands": commands(aligned, settings),
    }


def _part(sources: RunSources, name: str) -> Part:
    run = sources.run
    scores = held_out_performance(run.predictions.assign(label=sources.labels), run.classes)
    scores = scores and as_evaluated(scores, sources.table("performance"))
    defects = {method: count_defects(run, method) for method in run.methods}
    return Part(
        name,
        model_name(run),
        summarise(sources, scores, defects),
        scores,
        model_card(run),
        _settings(run.settings),
        _settings(sources.analysis),
    )


def _settings(facts: dict[str, Any]) -> str:
    """Write settings out, cut where a file lists thousands of problems."""
    text = json.dumps(facts, indent=2, ensure_ascii=False) if facts else ""
    if len(text) > _MOST_SETTINGS:
        more = len(text) - _MOST_SETTINGS
        return text[:_MOST_SETTINGS] + f"\n... {more:,} more characters are in the file"
    return text


def _errors(aligned: AlignedRuns) -> tuple[list[dict[str, Any]], int]:
    """Return the first problems of all runs, with the run's name, and how many there are."""
    found = []
    for sources, name in zip(aligned.sources, aligned.names, strict=True):
        table = sources.table("errors")
        if table is not None:
            found.append(table.assign(run=name))
    if not found:
        return [], 0
    rows = pd.concat(found, ignore_index=True)
    shown = rows[:MOST_ERRORS].to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in shown], len(rows)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """Return what renders pages; templates are compiled once a process."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,  # a file called <script>.jpg stays text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = readable
    environment.filters["unbroken"] = unbroken
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    return environment


def count_defects(run: RunFolder, method: str) -> int:
    """Count the maps of one method that have no positive attribution to show."""
    noted = f"degenerate_{method}"
    if noted in run.predictions:  # written beside the map
        said = run.predictions[noted]
        return int((said.notna() & (said.astype(str) != "")).sum())
    array = run.map_array(method)
    n, pixels = array.shape[0], int(np.prod(array.shape[1:]))
    step = max(1, _BLOCK // max(1, pixels))
    return sum(
        int(degenerate(np.asarray(array[start : start + step], np.float32)).sum())
        for start in range(0, n, step)
    )
