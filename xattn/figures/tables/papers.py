"""Which tables a paper gets, of one model, of several beside each other, or of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.settings import BACKBONE
from xattn.figures.known_answers import known_answers
from xattn.figures.numbers import listed
from xattn.figures.run_sources import RunSources
from xattn.figures.tables.cells import Basis, Cell, Sheet
from xattn.figures.tables.columns import shown_columns
from xattn.figures.tables.sheets import left_out, shaped, sheet_of, whole_sheet, with_numbers
from xattn.figures.tables.side_by_side import side_by_side
from xattn.runs import ComparisonFolder, RunFolder
from xattn.runs.tables import TABLES, Interval, Printed, Table, Text
from xattn.runs.tables.comparison import COMPARISON
from xattn.runs.tables.names import METRICS, SPLITS
from xattn.runs.tables.verdicts import VERDICTS


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


def printed_of_runs() -> dict[str, Printed]:
    """Return the tables of a run that papers get -> how, in the order they are written."""
    return {n: t.printed for n, t in TABLES.items() if t.printed and t.printed.of == "run"}


def _strongest(table: pd.DataFrame, of: str) -> pd.DataFrame:
    """Keep the row of least p-value of those that are equal in column `of`."""
    best = table.sort_values(["p_adjusted", "p_value"], kind="stable").drop_duplicates(of)
    return table.loc[best.index.sort_values()]


BOLD = "Bold: best of the models; whether they differ for certain is another question"


def paper_of_run(name: str, run: RunFolder, model: str) -> Paper | None:
    """Make the table `name` of one run; None where its CSV file has nothing to print."""
    sheet, tests = _sheet(name, RunSources(run))
    if sheet is None:
        return None
    paper = _paper(sheet, printed_of_runs()[name].caption, model, tests, model)
    return replace(paper, notes=(*paper.notes, sheet.note)) if sheet.note else paper


def paper_of_runs(name: str, runs: Mapping[str, RunFolder]) -> Paper | None:
    """Make the table `name` of several runs by their names; None unless two have it."""
    printed = printed_of_runs()[name]
    made = {model: _sheet(name, RunSources(run), aligned=True) for model, run in runs.items()}
    sheets = {model: sheet for model, (sheet, _) in made.items() if sheet is not None}
    if len(sheets) < 2:
        return None
    titles = [{head.title for head in sheet.heads} for sheet in sheets.values()]
    values = [v for v in printed.values if all(v in own for own in titles)]
    if not values:
        return None
    sheet = side_by_side(sheets, printed.rows, values, printed.shared, printed.better)
    tests = made[next(iter(sheets))][1]
    paper = _paper(sheet, printed.caption, listed(list(sheets)), tests, "")
    return replace(paper, notes=(*filter(None, [printed.note]), *paper.notes))


def _sheet(name: str, sources: RunSources, aligned: bool = False) -> tuple[Sheet | None, Basis]:
    tests = Basis(None, sources.alpha)
    table = sources.table(name)
    if table is None:
        return None, tests
    printed = printed_of_runs()[name]
    table = shaped(name, table)
    for column, value in printed.where.items():
        table = table[table[column] == value]
    if aligned and printed.strongest_of:
        table = _strongest(table, printed.strongest_of)
    note = "" if aligned else left_out(name, table)
    table = with_numbers(name, table, sources.alpha)
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
        printed = COMPARISON.printed
        assert printed is not None
        papers.append(_paper(sheet, printed.caption, listed(models), tests, ""))
    return papers


def _seeds(folder: ComparisonFolder, pairs: pd.DataFrame, tests: Basis) -> Paper:
    """Make the table of means over seeds, marked where Welch's test tells it from the baseline."""
    runs, settings = folder.table("comparison_runs"), folder.settings
    runs = runs[runs["metric"].isin(settings["metrics"])]
    baseline = settings["baseline"]
    welch = pairs[pairs["test"] == "welch"]
    apart = settings.get("settings", {}).get("baseline") == BACKBONE  # older ones do not say
    if apart:  # the first that a model is compared with
        welch = welch.drop_duplicates(["a", "split", "metric"])
    else:
        welch = welch[welch["b"] == baseline]
    p = welch.set_index(["a", "split", "metric"])["p_adjusted"].to_dict()
    declared = Table("performance", "", (), shown=(
        Text("split", "split", SPLITS),
        Text("metric", "metric", METRICS),
        Interval("mean", "mean", "low", "high", marked_by="p_adjusted"),
    ))  # fmt: skip
    sheets = {}
    for model in settings["models"]:
        own = runs[runs["model"] == model].groupby(["split", "metric"], sort=False)["value"]
        rows = [
            {"split": split, "metric": metric, **_mean(np.asarray(values, dtype=np.float64)),
             "p_adjusted": p.get((model, split, metric), np.nan)}
            for (split, metric), values in own
        ]  # fmt: skip
        means = pd.DataFrame(rows)
        sheets[model] = sheet_of("performance", means, shown_columns(declared, means, tests))
    sheet = side_by_side(sheets, ("split", "metric"), ("mean",), better="metric")
    paper = _paper(sheet, "Performance of {of}, means over seeds.", listed(list(sheets)), tests, "")
    seeds = ", ".join(f"{model} {len(own)}" for model, own in settings["models"].items())
    notes = [f"In brackets 95 % intervals of the mean over seeds (t); number of seeds: {seeds}",
             "Chance: AUC 0.5, balanced accuracy one over the number of classes"]  # fmt: skip
    if apart:
        notes.append("Marks: Welch's test over seeds against the model's backbone; of networks "
                     "without one, against the first plain network")  # fmt: skip
    elif baseline is not None:
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
    told = [*notes, *_spelt_out(cells), *_error_rates(cells)]
    if any(cell.mark for cell in cells):
        stars = [f"{'*' * (i + 1)} < {level:g}" for i, level in enumerate(tests.levels)]
        told.append(f"Marks: adjusted p {', '.join(stars)}")
    if any(cell.best for cell in cells):
        told.append(BOLD)
    name = f"{sheet.name}-{label}" if label else sheet.name
    return Paper(sheet, caption.format(of=of), tuple(told), name)


def _error_rates(cells: list[Cell]) -> Iterator[str]:
    """Say of each verdict that occurs how often it was given where the truth is known."""
    said = {cell.text: cell.brief or cell.text for cell in cells if cell.text in VERDICTS}
    for verdict in VERDICTS:
        if verdict in said and (known := known_answers(verdict)):
            yield f"“{said[verdict]}”: {known.removesuffix('.')}"


def _brief(cell: Cell) -> Cell:
    return replace(cell, text=cell.brief) if cell.brief else cell


def _spelt_out(cells: list[Cell]) -> Iterator[str]:
    """Say what the brief words stand for, in the order of what they are sorted by."""
    ordered = sorted({(cell.sort, cell.brief, cell.text) for cell in cells if cell.brief})
    if ordered:
        yield "; ".join(f"“{brief}”: {whole}" for _, brief, whole in ordered)
