"""Which tables a paper gets, of one model, of several beside each other, or of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from xattn.figures.evidence import Evidence
from xattn.figures.numbers import listed
from xattn.figures.tables.cells import Basis, Cell, Sheet, interval, text
from xattn.figures.tables.columns import METRICS, SPLITS
from xattn.figures.tables.sheets import left_out, shaped, sheet_of, whole_sheet, with_numbers
from xattn.figures.tables.side_by_side import Better, better_metric, side_by_side
from xattn.runs import ComparisonFolder, RunFolder


@dataclass(frozen=True)
class Paper:
    """A table as it is printed.

    Attributes:
        sheet: heads and rows.
        caption: above it.
        notes: sentences below it: chance levels, intervals, marks, what is in bold.
        label: for references to it.
    """

    sheet: Sheet
    caption: str
    notes: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Card:
    """How one of a run's tables is printed.

    Attributes:
        caption: "{of}" stands for the models.
        rows, values, shared, better: of several models, see `side_by_side`.
        keep: which rows of the CSV file are printed.
        one_row: which of them stand for a feature where several models stand beside each other.
        note: what is to be said of that then.
    """

    caption: str
    rows: tuple[str, ...]
    values: tuple[str, ...]
    keep: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    shared: tuple[str, ...] = ()
    better: Better | None = None
    one_row: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table
    note: str = ""


def _over_all(*columns: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def keep(table: pd.DataFrame) -> pd.DataFrame:
        return table[(table[list(columns)] == "all").all(axis=1)]

    return keep


def _surest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep each feature's test of least p-value."""
    best = table.sort_values(["p_adjusted", "p_value"], kind="stable").drop_duplicates("feature")
    return table.loc[best.index.sort_values()]


CARDS: dict[str, Card] = {
    "performance": Card(
        "Performance of {of}.",
        ("split", "metric", "class"),
        ("value",),
        _over_all("domain"),
        ("by chance",),
        better_metric,
    ),
    "confusion": Card(
        "Images of each label by the class that {of} predicted.",
        ("split", "label"),
        ("recognised",),
        shared=("by chance",),
        better=lambda row: "high",
    ),
    "verdicts": Card(
        "Verdicts for {of}: dependence given the label, edits beside their controls, and maps.",
        ("feature", "kind"),
        ("verdict",),
    ),
    "alignment": Card(
        "Where the maps of {of} lie: share of attribution inside each feature's masks over their "
        "share of the picture.",
        ("feature", "kind", "method"),
        ("lift", "chance lift"),
        _over_all("label"),
    ),
    "feature_usage": Card(
        "Dependence of the predictions of {of} on each feature given the label; controls are "
        "features of chance that no model can use.",
        ("feature", "kind"),
        ("effect, bits",),
        one_row=_surest,
        note="Of several tests of a feature the one of least p",
    ),
    "interventions": Card(
        "Change of the score of {of} when a feature is removed or inserted, beside the same edit "
        "elsewhere.",
        ("feature", "intervention"),
        ("beyond control",),
    ),
    "agreement": Card(
        "Agreement of the maps of {of}.",
        ("method", "with"),
        ("rank correlation", "correlation by chance"),
    ),
    "bias": Card(
        "Each metric of {of} over images with a feature, or of a group of patients, beside all "
        "others.",
        ("feature", "metric"),
        ("gap × 100",),
        better=lambda row: "near 0",
    ),
    "fairness": Card(
        "How far the groups of each feature are apart at most, for {of}.",
        ("feature", "metric"),
        ("value", "by chance"),
    ),
    "trap": Card(
        "Performance of {of} where artifacts go with the label as in training and where they go "
        "against it, as it is and among images alike in an artifact.",
        ("alike in", "metric"),
        ("drop", "explained"),
    ),
}  # fmt: skip
"""Table of a run -> how it is printed, in the order they are written."""

BOLD = "Bold: best of the models; whether they differ for certain is another question"


def paper_of_run(name: str, run: RunFolder, model: str) -> Paper | None:
    """Make the table `name` of one run; None where its CSV file has nothing to print."""
    sheet, tests = _sheet(name, Evidence(run))
    if sheet is None:
        return None
    paper = _paper(sheet, CARDS[name].caption, model, tests, model)
    return replace(paper, notes=(*paper.notes, sheet.note)) if sheet.note else paper


def paper_of_runs(name: str, runs: Mapping[str, RunFolder]) -> Paper | None:
    """Make the table `name` of several runs by their names; None unless two have it."""
    card = CARDS[name]
    made = {model: _sheet(name, Evidence(run), together=True) for model, run in runs.items()}
    sheets = {model: sheet for model, (sheet, _) in made.items() if sheet is not None}
    if len(sheets) < 2:
        return None
    titles = [{head.title for head in sheet.heads} for sheet in sheets.values()]
    values = [v for v in card.values if all(v in own for own in titles)]
    if not values:
        return None
    sheet = side_by_side(sheets, card.rows, values, card.shared, card.better)
    tests = made[next(iter(sheets))][1]
    paper = _paper(sheet, card.caption, listed(list(sheets)), tests, "")
    return replace(paper, notes=(*filter(None, [card.note]), *paper.notes))


def _sheet(name: str, evidence: Evidence, together: bool = False) -> tuple[Sheet | None, Basis]:
    tests = Basis(None, evidence.alpha)
    table = evidence.table(name)
    if table is None:
        return None, tests
    card = CARDS[name]
    table = card.keep(shaped(name, table))
    table = card.one_row(table) if together else table
    note = "" if together else left_out(name, table)
    table = with_numbers(name, table, evidence.alpha)
    return (replace(whole_sheet(name, table, tests), note=note) if len(table) else None), tests


def papers_of_comparison(folder: ComparisonFolder) -> list[Paper]:
    """Make the tables of a comparison: performance over seeds, and the tests of each pair."""
    alpha = float(folder.settings["alpha"])
    tests = Basis(None, alpha)
    pairs = folder.table("comparison")
    models = list(folder.settings["models"])
    papers = [_seeds(folder, pairs, tests)]
    if len(pairs):
        sheet = whole_sheet("comparison", pairs, tests)
        of = listed(models)
        papers.append(_paper(sheet, "Differences between {of}, first minus second.", of, tests, ""))
    return papers


def _seeds(folder: ComparisonFolder, pairs: pd.DataFrame, tests: Basis) -> Paper:
    """Make the table of means over seeds, marked where Welch's test tells it from the baseline."""
    runs, settings = folder.table("comparison_runs"), folder.settings
    runs = runs[runs["metric"].isin(settings["metrics"])]
    baseline = settings["baseline"]
    welch = pairs[(pairs["test"] == "welch") & (pairs["b"] == baseline)]
    p = welch.set_index(["a", "split", "metric"])["p_adjusted"].to_dict()
    columns = [
        text("split", "split", SPLITS),
        text("metric", "metric", METRICS),
        interval("mean", ("mean", "low", "high"), "", tests=tests, of="p_adjusted"),
    ]
    sheets = {}
    for model in settings["models"]:
        own = runs[runs["model"] == model].groupby(["split", "metric"], sort=False)["value"]
        rows = [
            {"split": split, "metric": metric, **_mean(np.asarray(values, dtype=np.float64)),
             "p_adjusted": p.get((model, split, metric), np.nan)}
            for (split, metric), values in own
        ]  # fmt: skip
        sheets[model] = sheet_of("performance", pd.DataFrame(rows), [*columns])
    sheet = side_by_side(sheets, ("split", "metric"), ("mean",), better=better_metric)
    paper = _paper(sheet, "Performance of {of}, means over seeds.", listed(list(sheets)), tests, "")
    seeds = ", ".join(f"{model} {len(own)}" for model, own in settings["models"].items())
    notes = [f"In brackets 95 % intervals of the mean over seeds (t); number of seeds: {seeds}",
             "Chance: AUC 0.5, balanced accuracy one over the number of classes"]  # fmt: skip
    if baseline is not None:
        notes.append(f"Marks: Welch's test over seeds against {baseline}")
    return replace(paper, notes=(*notes, *paper.notes))


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    from scipy.stats import t

    mean, n = float(values.mean()), len(values)
    half = np.nan
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _paper(sheet: Sheet, caption: str, of: str, tests: Basis, label: str) -> Paper:
    printed = [i for i, head in enumerate(sheet.heads) if head.printed]
    sheet = replace(
        sheet,
        heads=[sheet.heads[i] for i in printed],
        rows=[[row[i] for i in printed] for row in sheet.rows],
    )
    cells = [cell for row in sheet.rows for cell in row]
    sheet = replace(sheet, rows=[[_brief(cell) for cell in row] for row in sheet.rows])
    notes = dict.fromkeys(
        f"{head.title[:1].upper()}{head.title[1:]}: {head.note}"
        for head in sheet.heads
        if head.note
    )
    told = [*notes, *_spelt_out(cells)]
    if any(cell.mark for cell in cells):
        stars = [f"{'*' * (i + 1)} < {level:g}" for i, level in enumerate(tests.levels)]
        told.append(f"Marks: adjusted p {', '.join(stars)}")
    if any(cell.best for cell in cells):
        told.append(BOLD)
    name = f"{sheet.name}-{label}" if label else sheet.name
    return Paper(sheet, caption.format(of=of), tuple(told), name)


def _brief(cell: Cell) -> Cell:
    return replace(cell, text=cell.brief) if cell.brief else cell


def _spelt_out(cells: list[Cell]) -> Iterator[str]:
    """Say what the brief words stand for, in the order of what they are sorted by."""
    ordered = sorted({(cell.sort, cell.brief, cell.text) for cell in cells if cell.brief})
    if ordered:
        yield "; ".join(f"“{brief}”: {whole}" for _, brief, whole in ordered)
