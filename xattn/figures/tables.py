"""The run's tables as sheets for people: rounded, in words, with the chance level in the head."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xattn.figures.bias import METRICS
from xattn.figures.numbers import NOT_KNOWN, fixed, p_value, readable, with_interval

MOST_ROWS = 400
"""Rows of a table that go into the page; the rest stays in the CSV file."""


@dataclass(frozen=True)
class Cell:
    """Text to show and the value to sort by."""

    text: str
    sort: float | str


@dataclass(frozen=True)
class Head:
    """Title of a column, the level of chance or another note below it, and its alignment."""

    title: str
    note: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written out.

    Attributes:
        name: of the CSV file, without its ending.
        heads, rows: columns and cells.
        total: rows of the file; more than len(rows) if it was too long.
    """

    name: str
    heads: list[Head]
    rows: list[list[Cell]]
    total: int


Row = Mapping[str, Any]
_Column = tuple[Head, Callable[[Row], Cell]]


def make_sheet(name: str, table: pd.DataFrame, permutations: int | None = None) -> Sheet:
    """Turn one of the run's tables into a sheet.

    Args:
        name: "alignment", "feature_usage", "interventions" or "bias".
        table: as read from the run folder.
        permutations: behind its p-values; the least p-value follows unless a column gives it.
    """
    smallest = None if permutations is None else 1 / (1 + permutations)
    columns = [c for c in _COLUMNS[name](table, smallest) if c is not None]
    shown = _first_rows(table)
    records: list[Row] = [{str(k): v for k, v in r.items()} for r in shown.to_dict("records")]
    rows = [[cell(record) for _, cell in columns] for record in records]
    return Sheet(name, [head for head, _ in columns], rows, len(table))


def _first_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the order of the file, but rows over all labels first; cut long ones by p-value."""
    if len(table) > MOST_ROWS:
        table = table.loc[table["p_adjusted"].sort_values(kind="stable").index[:MOST_ROWS]]
        table = table.sort_index()
    if "label" in table:
        table = table.loc[(table["label"] != "all").sort_values(kind="stable").index]
    return table


def _text(title: str, key: str, words: Mapping[str, str] | None = None) -> _Column:
    def cell(row: Row) -> Cell:
        value = "" if _missing(row[key]) else str(row[key])
        shown = (words or {}).get(value, readable(value))
        return Cell(shown or NOT_KNOWN, shown)

    return Head(title, numeric=False), cell


def _number(title: str, key: str, places: int, note: str = "") -> _Column:
    def cell(row: Row) -> Cell:
        return Cell(fixed(float(row[key]), places), _sortable(row[key]))

    return Head(title, note), cell


def _interval(title: str, keys: Sequence[str], note: str, factor: float = 1.0) -> _Column:
    def cell(row: Row) -> Cell:
        value, low, high = (factor * float(row[k]) for k in keys)
        return Cell(with_interval(value, low, high), _sortable(value))

    return Head(title, note), cell


def _p(title: str, key: str, note: str, smallest: float | None = None) -> _Column:
    def cell(row: Row) -> Cell:
        least = row.get("smallest_p", smallest) if key == "p_value" else None
        return Cell(p_value(float(row[key]), least), _sortable(row[key]))

    return Head(title, note), cell


def _used() -> _Column:
    def cell(row: Row) -> Cell:
        if _missing(row["p_adjusted"]):
            return Cell("not tested", 2)
        return Cell("used", 0) if row["used"] in (True, "True") else Cell("not shown", 1)

    return Head("verdict", numeric=False), cell


def _alignment(table: pd.DataFrame, smallest: float | None) -> list[_Column | None]:
    chance = "chance_lift" in table
    return [
        _text("feature", "feature"),
        _text("kind", "kind"),
        _text("method", "method"),
        _text("label", "label"),
        _number("images", "n", 0),
        _interval("lift", ("lift", "lift_low", "lift_high"), "95 % interval; evenly spread: 1"),
        _number("chance lift", "chance_lift", 2, "masks of other images") if chance else None,
        _p("adjusted p", "p_adjusted", "Holm, whole table"),
        _p("p", "p_value", "against other masks", smallest),
        _number("area", "area", 3, "share of pixels"),
        _number("mass", "mass", 3, "chance: area"),
        _number("pointing", "pointing", 2, "chance: area"),
        _number("AUC", "auc", 2, "chance: 0.50"),
        _number("rank accuracy", "rank_accuracy", 2, "chance: area"),
        _number("top-k", "topk", 2, "chance: area"),
    ]


def _feature_usage(table: pd.DataFrame, smallest: float | None) -> list[_Column | None]:
    keys = ("effect_bits", "effect_low", "effect_high")
    return [
        _text("feature", "feature"),
        _text("kind", "kind"),
        _text("test", "test"),
        _number("images", "n", 0),
        _number("groups", "groups", 0),
        _interval("effect, bits", keys, "95 % interval; chance: 0"),
        _number("rank effect", "rank_effect", 3, "−1 to 1; chance: 0"),
        _p("p", "p_value", "permutations within label", smallest),
        _p("adjusted p", "p_adjusted", "whole table"),
        _used(),
    ]


def _interventions(table: pd.DataFrame, smallest: float | None) -> list[_Column | None]:
    keys = ("delta_logit", "delta_low", "delta_high")
    return [
        _text("feature", "feature"),
        _text("intervention", "intervention"),
        _number("images", "n", 0),
        _interval("change of logit", keys, "95 % interval; no effect: 0"),
        _number("of control", "control_delta_logit", 3, "same change elsewhere"),
        _number("flip rate", "flip_rate", 3),
        _number("of control", "control_flip_rate", 3, "same change elsewhere"),
        _p("p", "p_value", "", smallest),
        _p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]


def _bias(table: pd.DataFrame, smallest: float | None) -> list[_Column | None]:
    keys = ("gap", "gap_low", "gap_high")
    return [
        _text("feature", "feature"),
        _text("metric", "metric", METRICS),
        _number("with", "n_present", 0, "images"),
        _number("without", "n_absent", 0, "images"),
        _number("value with", "present", 3),
        _number("value without", "absent", 3),
        _interval("gap × 100", keys, "95 % interval; no bias: 0", factor=100),
        _p("p", "p_value", "", smallest),
        _p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]


_COLUMNS: dict[str, Callable[[pd.DataFrame, float | None], list[_Column | None]]] = {
    "alignment": _alignment,
    "feature_usage": _feature_usage,
    "interventions": _interventions,
    "bias": _bias,
}


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _sortable(value: Any) -> float:
    """Return a number to sort by; what is not known goes last."""
    number = float(value)
    return number if math.isfinite(number) else 1e300
