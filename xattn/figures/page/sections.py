"""The page's sections: a table of each run with its figure, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass

from xattn.figures.aligned_runs import Together
from xattn.figures.evidence import Evidence
from xattn.figures.folders import run_places
from xattn.figures.numbers import NOT_KNOWN, readable
from xattn.figures.page.plots import Plot, make_plot
from xattn.figures.page.verdict_words import Meaning, meanings
from xattn.figures.registry import FigureCard, known_figures
from xattn.figures.tables import Cell, Head, Sheet, make_sheet
from xattn.runs import RunFolder
from xattn.runs.columns import WRITTEN_BY

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
class Section:
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


@dataclass(frozen=True)
class _Plan:
    """What a section is made of; without `always` it is left out where no run has the table."""

    table: str
    figure: str
    title: str
    short: str
    lead: str
    always: bool = False


_PLANS = (
    _Plan(
        "verdicts",
        "",
        "What follows, feature by feature",
        "Verdicts",
        "Dependence, edits and maps side by side. A dependence may come through a correlate, a map "
        "may lie on what the model ignores, and an edit leaves traces: where they agree a verdict "
        "is safe, where they do not it says what is missing.",
    ),
    _Plan(
        "alignment",
        "alignment",
        "Where the maps lie",
        "Maps",
        "Lift is the share of a map's positive attribution inside a mask over the mask's share of "
        "the picture: 1 is a map spread evenly. Maps and lesions both prefer the middle, so each "
        "lift is tested against the same maps on masks of other images of the same label.",
        always=True,
    ),
    _Plan(
        "feature_usage",
        "feature-usage",
        "What the model uses",
        "Usage",
        "A feature is used if predictions depend on it among images of the same label. The test "
        "exchanges the feature's values within each label, so the label cannot explain the result.",
        always=True,
    ),
    _Plan(
        "interventions",
        "interventions",
        "What happens when a feature is edited",
        "Interventions",
        "Change of the logit when the feature is taken away or put in, beside the same edit where "
        "the feature is not. Only what goes beyond that control speaks of the feature. The row "
        "control-patch edits plain skin and must show nothing.",
    ),
    _Plan(
        "interventions_by_class",
        "",
        "What an edit does to each class",
        "Each class",
        "The same edits, class by class: change of the logit of that class against all others, and "
        "how many decisions came to it and left it.",
    ),
    _Plan(
        "agreement",
        "agreement",
        "Whether methods agree",
        "Agreement",
        "Rank correlation of two methods' maps over pixels, and the share of the top tenth of "
        "pixels that they have in common. Two maps agree by habit alone, since both prefer the "
        "middle: the level of chance pairs maps of different images.",
    ),
    _Plan(
        "bias",
        "bias",
        "Whether artifacts or groups shift the results",
        "Bias",
        "Each metric over images with the artifact minus the same over those without; over images "
        "of a group of patients minus the same over all others.",
        always=True,
    ),
    _Plan(
        "fairness",
        "fairness",
        "How far groups are apart",
        "Fairness",
        "The largest gap of any two groups. A largest gap is never 0, even where groups are "
        "treated alike: compare it with what comes out when groups are dealt out at random.",
    ),
    _Plan(
        "trap",
        "trap",
        "What is lost where artifacts turn against the label",
        "Trap",
        "In a trap set artifacts go with the label as in training, and against it in a second set. "
        "The second may be harder for other reasons too, so each loss stands beside that among "
        "images alike in the artifact, which it can neither help nor hurt.",
    ),
    _Plan(
        "performance",
        "calibration",
        "How well it predicts",
        "Performance",
        "Each metric beside what knowing nothing of the image gives, on images like those of the "
        "training and on images of another origin, where there are any.",
    ),
    _Plan(
        "confusion",
        "confusion",
        "What is taken for what",
        "Confusion",
        "Images of each label by the class predicted. Recognised is the label's sensitivity; by "
        "chance is what the same predictions, dealt out to images at random, recognise of it.",
    ),
)

_EVALUATED = ("performance", "confusion", "trap")
"""Tables of `xattn evaluate`, which has settings of its own."""


def make_sections(together: Together) -> list[Section]:
    """Gather tables and figures of all runs, as far as `MOST_BYTES` allows.

    Sections that no run has anything for are left out.
    """
    cards = known_figures()
    places = dict(zip(together.names, run_places(together.runs), strict=True))
    sections = []
    used = 0
    for plan in _PLANS:
        panels = [
            panel
            for i, evidence in enumerate(together.evidence)
            if (panel := _panel(plan, cards.get(plan.figure), evidence, together.names[i], i))
            is not None
        ]
        if not panels:
            continue
        for place, panel in enumerate(panels):
            used += panel.size
            if used > MOST_BYTES:
                used -= panel.size
                panels[place] = _too_large(panel, places[panel.model], plan.table)
        if len(together.runs) == 1:
            panels = [Panel("", p.how, p.plot, p.sheet, p.missing) for p in panels]
        words: dict[str, Meaning] = {}
        if plan.table == "verdicts":
            words = {m.verdict: m for e in together.evidence for m in meanings(e)}
        across = verdicts_across(together) if words else None
        sections.append(
            Section(
                plan.table, plan.title, plan.short, plan.lead, list(words.values()), across, panels
            )
        )
    return sections


def verdicts_across(together: Together) -> Sheet | None:
    """Return a table of features by runs with each run's verdict, None for a single run."""
    tables = [e.table("verdicts") for e in together.evidence]
    if len(tables) < 2:
        return None
    said = [
        {} if t is None else dict(zip(t["feature"].astype(str), t["verdict"], strict=True))
        for t in tables
    ]
    features = list(dict.fromkeys(name for one in said for name in one))
    heads = [Head("feature", numeric=False), *(Head(n, numeric=False) for n in together.names)]
    rows = [
        [Cell(readable(f), f), *(Cell(str(one.get(f, NOT_KNOWN)), str(one.get(f))) for one in said)]
        for f in features
    ]
    return Sheet("verdicts", heads, rows, len(rows))


def _panel(
    plan: _Plan, card: FigureCard | None, evidence: Evidence, model: str, number: int
) -> Panel | None:
    table = evidence.table(plan.table)
    if table is None:
        if not plan.always:
            return None
        return Panel(model, "", None, None, _why_missing(evidence.run, plan.table))
    sheet = make_sheet(plan.table, table, evidence.permutations(plan.table), evidence.alpha)
    plot = None
    if card is not None:
        plot = make_plot(card, evidence.run, sheet.places, f"{plan.figure}-{number}")
    return Panel(model, _how(evidence, plan.table), plot, sheet, "")


def _too_large(panel: Panel, place: str, table: str) -> Panel:
    missing = f"Left out, or this file would grow too large: see {table}.csv of {place}."
    return Panel(panel.model, "", None, None, missing)


def _how(evidence: Evidence, table: str) -> str:
    """Say where the p-values and intervals of a table come from, as far as it is recorded."""
    if table in _EVALUATED:
        return _how_evaluated(evidence)
    facts, parts = evidence.analysis, []
    permutations = evidence.permutations(table) if table != "verdicts" else None
    if permutations is not None:
        method = evidence.adjusted(table)
        parts.append(f"p-values from {permutations:,} permutations, adjusted by {method}'s method")
    if "bootstrap" in facts:
        parts.append(f"intervals from {facts['bootstrap']:,} bootstrap replicates over groups")
    if table == "interventions" and "intervention_images" in facts:
        parts.append(f"at most {facts['intervention_images']:,} images for each edit")
    several = len(evidence.run.classes) > 2
    if table in ("bias", "fairness", "interventions", "verdicts") and evidence.positive and facts:
        what = "TPR and FPR speak" if table in ("bias", "fairness") else "the logit speaks"
        against = f", against {facts['against']}" if several else ""
        parts.append(f"{what} of {evidence.positive}{against}")
    elif table in ("interventions", "verdicts") and several:
        parts.append("the logit speaks of the class predicted before the edit")
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _how_evaluated(evidence: Evidence) -> str:
    facts, parts = evidence.evaluation, []
    if "bootstrap" in facts:
        parts.append(f"intervals from {facts['bootstrap']:,} bootstrap replicates over groups")
    if facts.get("positive") and len(evidence.run.classes) > 2:
        parts.append(f"{facts['positive']} against {facts['against']}")
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _why_missing(run: RunFolder, name: str) -> str:
    if run.has_table(name):
        return f"{name}.csv has no rows: there was nothing to measure."
    return (
        f"{name}.csv was not written yet. Run: {WRITTEN_BY[name]} --run {run.path.resolve().name}"
    )
