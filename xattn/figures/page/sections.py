"""The page's sections: a table of each run with its figure, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass

from xattn.analysis.interventions.doses.table import DOSE_IMAGES
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.folders import run_places
from xattn.figures.numbers import NOT_KNOWN, readable
from xattn.figures.page.plots import Plot, make_plot
from xattn.figures.page.verdict_words import Meaning, meanings
from xattn.figures.registry import FIGURES, PaperFigure
from xattn.figures.run_sources import RunSources
from xattn.figures.tables import Cell, Head, Sheet, make_sheet
from xattn.runs import RunFolder
from xattn.runs.again import table_again
from xattn.runs.tables import TABLES, Table
from xattn.runs.tables.layout import LOGIT_OF
from xattn.runs.tables.sources import EVALUATE, USAGE

MOST_BYTES = 5_000_000
"""Tables and figures stop here; those of one model take about a tenth."""

_CELL = 60  # bytes of markup around a cell's text


@dataclass(frozen=True)
class Panel:
    """One run's part of a section.

    Attributes:
        model: name of the run, "" if there is only one.
        how: where p-values and intervals come from.
        plot: the figure, None where there is nothing to draw.
        sheet: the table, None if it was not written.
        missing: what to do to have it, "" if it is there.
    """

    model: str
    how: str
    plot: Plot | None
    sheet: Sheet | None
    missing: str

    @property
    def size(self) -> int:
        """Number of bytes this panel adds to the page, about."""
        plot = 0 if self.plot is None else self.plot.size
        rows = [] if self.sheet is None else self.sheet.rows
        return plot + sum(_CELL + len(cell.text) for row in rows for cell in row)


@dataclass(frozen=True)
class PageSection:
    """A part of the page.

    Attributes:
        id, title, short, lead: anchor, heading, word in the navigation, how to read it.
        meanings: explanations of words that occur in the table.
        across: one table of all runs, None for a single run.
        panels: one per run that has something to show or to say.
    """

    id: str
    title: str
    short: str
    lead: str
    meanings: list[Meaning]
    across: Sheet | None
    panels: list[Panel]


def make_sections(aligned: AlignedRuns) -> list[PageSection]:
    """Gather tables and figures of all runs, as far as `MOST_BYTES` allows.

    Sections that no run has anything for are left out.
    """
    places = dict(zip(aligned.names, run_places(aligned.runs), strict=True))
    sections = []
    used = 0
    for name, table in TABLES.items():
        plan = table.section
        if plan is None:
            continue
        panels = [
            panel
            for i, sources in enumerate(aligned.sources)
            if (panel := _panel(table, FIGURES.get(plan.figure), sources, aligned.names[i], i))
            is not None
        ]
        if not panels:
            continue
        for place, panel in enumerate(panels):
            used += panel.size
            if used > MOST_BYTES:
                used -= panel.size
                panels[place] = _too_large(panel, places[panel.model], name)
        if len(aligned.runs) == 1:
            panels = [Panel("", p.how, p.plot, p.sheet, p.missing) for p in panels]
        words: dict[str, Meaning] = {}
        if name == "verdicts":
            words = {m.verdict: m for e in aligned.sources for m in meanings(e)}
        across = verdicts_across(aligned) if words else None
        sections.append(
            PageSection(
                name, plan.title, plan.short, plan.lead, list(words.values()), across, panels
            )
        )
    return sections


def verdicts_across(aligned: AlignedRuns) -> Sheet | None:
    """Return a table of features by runs with each run's verdict, None for a single run."""
    tables = [e.table("verdicts") for e in aligned.sources]
    if len(tables) < 2:
        return None
    said = [
        {} if t is None else dict(zip(t["feature"].astype(str), t["verdict"], strict=True))
        for t in tables
    ]
    features = list(dict.fromkeys(name for one in said for name in one))
    heads = [Head("feature", numeric=False), *(Head(n, numeric=False) for n in aligned.names)]
    rows = [
        [Cell(readable(f), f), *(Cell(str(one.get(f, NOT_KNOWN)), str(one.get(f))) for one in said)]
        for f in features
    ]
    return Sheet("verdicts", heads, rows, len(rows))


def _panel(
    declared: Table, card: PaperFigure | None, sources: RunSources, model: str, number: int
) -> Panel | None:
    name, table = declared.name, sources.table(declared.name)
    if table is None:
        if declared.section is None or not declared.section.always:
            return None
        return Panel(model, "", None, None, _why_missing(sources.run, declared))
    sheet = make_sheet(name, table, sources.permutations(name), sources.alpha)
    plot = None
    if card is not None:
        plot = make_plot(card, sources.run, sheet.places, f"{card.name}-{number}")
    return Panel(model, _how(sources, declared), plot, sheet, "")


def _too_large(panel: Panel, place: str, table: str) -> Panel:
    missing = f"Left out, or this file would grow too large: see {table}.csv of {place}."
    return Panel(panel.model, "", None, None, missing)


def _how(sources: RunSources, declared: Table) -> str:
    """Say where the p-values and intervals of a table come from, as far as it is recorded."""
    if declared.source == USAGE:
        return _how_analysed(sources, declared)
    if declared.source is not None and declared.source.record == EVALUATE.record:
        return _how_evaluated(sources)
    return ""


def _how_analysed(sources: RunSources, declared: Table) -> str:
    facts, parts, table = sources.analysis, [], declared.name
    permutations = sources.permutations(table) if table != "verdicts" else None
    if permutations is not None:
        method = sources.adjusted(table)
        parts.append(f"p-values from {permutations:,} permutations, adjusted by {method}'s method")
    if "bootstrap" in facts:
        parts.append(f"intervals from {facts['bootstrap']:,} bootstrap replicates over groups")
    if table == "interventions" and "intervention_images" in facts:
        parts.append(f"at most {facts['intervention_images']:,} images for each edit")
    if table == "doses" and "intervention_images" in facts:
        images = min(facts["intervention_images"], DOSE_IMAGES)
        parts.append(f"at most {images:,} images for each edit")
    several = len(sources.run.classes) > 2
    which = "" if declared.section is None else declared.section.of_class
    if which and sources.positive and facts:
        against = f", against {facts['against']}" if several else ""
        parts.append(f"{which} of {sources.positive}{against}")
    elif which == LOGIT_OF and several:
        parts.append(f"{which} of the class predicted before the edit")
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _how_evaluated(sources: RunSources) -> str:
    facts, parts = sources.evaluation, []
    if "bootstrap" in facts:
        parts.append(f"intervals from {facts['bootstrap']:,} bootstrap replicates over groups")
    if facts.get("positive") and len(sources.run.classes) > 2:
        parts.append(f"{facts['positive']} against {facts['against']}")
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _why_missing(run: RunFolder, declared: Table) -> str:
    name = declared.name
    if run.has_table(name):
        of = f" of {run.of_output}, which --target may have left out" if run.of_output else ""
        return f"{name}.csv has no rows{of}: there was nothing to measure."
    again = table_again(run.path, name, here=False).strip("`")
    return f"{name}.csv was not written yet. Run: {again}"
