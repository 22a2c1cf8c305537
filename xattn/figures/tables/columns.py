"""The columns that a declared table shows to people, as heads and cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from xattn.figures.numbers import NOT_KNOWN, decimals, fixed, named, p_value, with_interval
from xattn.figures.tables.cells import (
    Basis,
    Cell,
    Head,
    Row,
    SheetColumn,
    missing,
    plain,
    sortable,
)
from xattn.runs.tables import Each, Interval, Number, PValue, Shown, Table, Text, Used


def shown_columns(declared: Table, table: pd.DataFrame, tests: Basis) -> list[SheetColumn]:
    """Return the columns of a table that people see, as far as the table has them.

    Args:
        declared: says which.
        table: its rows.
        tests: behind its p-values.
    """
    return [
        _column(one, tests)
        for one in _each(declared.for_people(), table)
        if one.column in table and _wanted(one, table)
    ]


def _each(columns: tuple[Shown | Each, ...], table: pd.DataFrame) -> Iterator[Shown]:
    """Repeat what comes once for each name, such as each method."""
    for one in columns:
        if isinstance(one, Shown):
            yield one
            continue
        before, _, after = one.shown[0].column.partition(one.name)
        for column in map(str, table):
            if column.startswith(before) and column.endswith(after):
                name = column.removeprefix(before).removesuffix(after)
                yield from (_named(shown, one.name, name) for shown in one.shown)


def _named(shown: Shown, stands_for: str, name: str) -> Shown:
    texts = {k: v.replace(stands_for, name) for k, v in vars(shown).items() if isinstance(v, str)}
    return replace(shown, **texts)


def _wanted(shown: Shown, table: pd.DataFrame) -> bool:
    return not isinstance(shown, Text) or shown.when(table)


def _column(shown: Shown, tests: Basis) -> SheetColumn:
    match shown:
        case Text():
            return _text(shown)
        case Number():
            return _number(shown, tests)
        case Interval():
            return interval(shown, tests)
        case PValue():
            return _p(shown, tests)
        case Used():
            return _used(shown)
    raise TypeError(f"Expected a kind of column that can be shown, but got {shown!r}")


def _text(shown: Text) -> SheetColumn:
    def cell(row: Row) -> Cell:
        value = "" if missing(row[shown.column]) else str(row[shown.column])
        said = value if shown.verbatim else named(value, shown.words)
        place = shown.order.index(value) if value in shown.order else len(shown.order)
        return Cell(
            said or NOT_KNOWN,
            place if shown.order else said,
            {shown.column: value},
            brief=shown.brief.get(value, ""),
        )

    return Head(shown.title, numeric=False, printed=shown.on_paper), cell


def _number(shown: Number, tests: Basis) -> SheetColumn:
    def cell(row: Row) -> Cell:
        value = float(row[shown.column])
        parts = {shown.column: plain(value, shown.places)} | _p_part(row, shown.marked_by)
        mark = tests.mark(row, shown.marked_by)
        return Cell(fixed(value, shown.places), sortable(value), parts, mark)

    return Head(shown.title, shown.note, printed=shown.on_paper), cell


def interval(shown: Interval, tests: Basis) -> SheetColumn:
    """Make a column of numbers with intervals, rounded to them.

    Args:
        shown: says which.
        tests: behind the marks.
    """
    keys = (shown.column, shown.low, shown.high)

    def cell(row: Row) -> Cell:
        value, low, high = (shown.factor * float(row[k]) for k in keys)
        places = decimals(low, high) + round(math.log10(shown.factor))
        parts = {k: plain(float(row[k]), places) for k in keys} | _p_part(row, shown.marked_by)
        mark = tests.mark(row, shown.marked_by)
        return Cell(with_interval(value, low, high), sortable(value), parts, mark)

    return Head(shown.title, shown.note, printed=shown.on_paper), cell


def _p(shown: PValue, tests: Basis) -> SheetColumn:
    """Make a column of p-values; those of `p_value` at the floor are shown as bounds."""
    key = shown.column

    def cell(row: Row) -> Cell:
        least = row.get("smallest_p", tests.smallest) if key == "p_value" else None
        return Cell(p_value(float(row[key]), least), sortable(row[key]), _p_part(row, key))

    return Head(shown.title, shown.note, printed=shown.on_paper), cell


def _used(shown: Used) -> SheetColumn:
    key = shown.column

    def cell(row: Row) -> Cell:
        if missing(row[shown.tested]):
            return Cell("not tested", 2, {key: ""})
        if row[key] in (True, "True"):
            return Cell("used", 0, {key: "True"})
        return Cell("not shown", 1, {key: "False"})

    return Head(shown.title, numeric=False, printed=shown.on_paper), cell


def _p_part(row: Row, key: str) -> dict[str, str]:
    if not key:
        return {}
    return {key: "" if missing(row[key]) else f"{float(row[key]):.3g}"}
