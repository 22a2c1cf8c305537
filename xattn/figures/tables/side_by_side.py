"""Several models beside each other: the sheets of each become one, a group of columns a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from xattn.analysis.evaluation.metrics import LOWER_IS_BETTER
from xattn.figures.numbers import MINUS, NOT_KNOWN
from xattn.figures.tables.cells import LAST, Cell, Head, Sheet


def best_value(better: str, row: Mapping[str, str]) -> str:
    """Say which value of a row is best: "high", "low", "near 0", or "" for none.

    Args:
        better: as of `Printed`; "metric" is by the metric of the row.
        row: the parts of its first cells.
    """
    if better != "metric":
        return better
    return "low" if row["metric"] in LOWER_IS_BETTER else "high"


def side_by_side(
    sheets: Mapping[str, Sheet],
    rows: Sequence[str],
    values: Sequence[str],
    shared: Sequence[str] = (),
    better: str = "",
) -> Sheet:
    """Put the sheets of several models beside each other.

    Args:
        sheets: by model, all of one table.
        rows: titles of the columns that say what a row is about.
        values: titles of the columns that each model has of its own.
        shared: titles of columns that come once, after them; where models differ, as a range.
        better: which value is best, as of `Printed`; the best of `values[0]` is then marked, where
            two models or more have one.
    """
    found = {model: _by_row(sheet, rows) for model, sheet in sheets.items()}
    keys = dict.fromkeys(key for own in found.values() for key in own)
    first = next(iter(sheets.values()))
    heads = [_head(first, title) for title in rows]
    heads += [
        replace(_head(sheet, title), model=model)
        for model, sheet in sheets.items()
        for title in values
    ]
    heads += [_head(first, title) for title in shared]
    lines = []
    for key in keys:
        owners = [own[key] for own in found.values() if key in own]
        stub = [owners[0][title] for title in rows]
        cells = {
            model: [_of_model(own.get(key, {}).get(title), model) for title in values]
            for model, own in found.items()
        }
        if better:
            parts = {k: v for cell in stub for k, v in cell.parts.items()}
            _mark_best(cells, best_value(better, parts))
        line = [*stub, *(cell for of_model in cells.values() for cell in of_model)]
        lines.append([*line, *(_range([own[title] for own in owners]) for title in shared)])
    return Sheet(first.name, heads, lines, len(lines))


def _by_row(sheet: Sheet, rows: Sequence[str]) -> dict[tuple[str, ...], dict[str, Cell]]:
    """Give each row of a sheet the texts it is known by, and its cells by title."""
    lines = [dict(zip([h.title for h in sheet.heads], cells, strict=True)) for cells in sheet.rows]
    return {tuple(line[title].text for title in rows): line for line in lines}


def _head(sheet: Sheet, title: str) -> Head:
    return next(head for head in sheet.heads if head.title == title)


def _of_model(cell: Cell | None, model: str) -> Cell:
    if cell is None:
        return Cell(NOT_KNOWN, LAST)
    return replace(cell, parts={f"{model}: {k}": v for k, v in cell.parts.items()})


def _mark_best(cells: dict[str, list[Cell]], which: str) -> None:
    rated = {
        model: _goodness(float(own[0].sort), which)
        for model, own in cells.items()
        if own[0].sort != LAST
    }
    if which and len(rated) > 1:
        winner = _shown(cells[max(rated, key=lambda model: rated[model])][0], which)
        for model in rated:
            if _shown(cells[model][0], which) == winner:  # what looks the same is as good
                cells[model][0] = replace(cells[model][0], best=True)


def _shown(cell: Cell, which: str) -> str:
    number = cell.text.split(" [")[0]
    return number.lstrip(MINUS) if which == "near 0" else number


def _goodness(value: float, which: str) -> float:
    return {"high": value, "low": -value}.get(which, -abs(value))


def _range(cells: Sequence[Cell]) -> Cell:
    """Return the cell that all share, or their range."""
    ordered = sorted(cells, key=lambda c: (isinstance(c.sort, str), c.sort))
    low, high = ordered[0], ordered[-1]
    if low.text == high.text:
        return low
    parts = {key: f"{low.parts[key]} to {high.parts[key]}" for key in low.parts}
    return Cell(f"{low.text} to {high.text}", low.sort, parts)
