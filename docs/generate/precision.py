"""The tables of docs/precision.md, from docs/precision.csv.

`python docs/generate/precision.py` writes what stands between a line `<!-- precision: NAME -->` and
a line `<!-- end of precision -->` anew; a test compares. `python -m tests.benchmarks.precision`
makes the CSV file; without it no page has a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE, SOURCE = ROOT / "docs" / "precision.md", ROOT / "docs" / "precision.csv"
MARKED = re.compile(r"(<!-- precision: ([\w-]+) -->\n)(.*?)(<!-- end of precision -->)", re.DOTALL)
NOT_YET = "Not measured yet: no number stands here.\n"
BASE = ("32", "torch")


def read() -> pd.DataFrame | None:
    """Return what was measured, None if nothing was."""
    if not SOURCE.is_file():
        return None
    return pd.read_csv(SOURCE, dtype={"precision": str, "engine": str, "name": str}).fillna(
        {"precision": "", "engine": "", "name": ""}
    )


def ways(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return precisions and engines beside the base, in their order."""
    found = table.loc[table["precision"] != "", ["precision", "engine"]].drop_duplicates()
    return [pair for pair in found.itertuples(index=False, name=None) if pair != BASE]


def value(table: pd.DataFrame, way: tuple[str, str], part: str, name: str, measure: str) -> float:
    """Return one number; NaN where there is none."""
    rows = table[
        (table["precision"] == way[0]) & (table["engine"] == way[1]) & (table["part"] == part)
        & (table["measure"] == measure)
    ]  # fmt: skip
    rows = rows if part == "speed" else rows[rows["name"] == name]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    said = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*said, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def machine() -> str:
    """Return what was measured on what."""
    table = read()
    if table is None:
        return NOT_YET
    has = table[table["part"] == "machine"].set_index("name")["value"]
    network = table[table["part"] == "network"].iloc[0]
    there = ", ".join(f"`{name}`" for name, one in has.items() if one)
    lacks = ", ".join(f"`{name}`" for name, one in has.items() if not one)
    return (
        f"{network['name']}, {int(network['value'])} images. The processor has {there}, and not "
        f"{lacks}.\n"
    )


def maps() -> str:
    """Return how well maps agree."""
    table = read()
    if table is None:
        return NOT_YET
    names = dict.fromkeys(table.loc[table["part"] == "maps", "name"])
    rows = []
    for way in ways(table):
        for name in names:
            measures = ("rank correlation, mean", "rank correlation, 5 % quantile",
                        "top, mean", "top, 5 % quantile")  # fmt: skip
            numbers = [value(table, way, "maps", name, one) for one in measures]
            flat = int(value(table, way, "maps", name, "flat in one run alone"))
            shown = [f"{one:.3f}" for one in numbers]
            rows.append([way[0], way[1], f"`{name}`", *shown, str(flat)])
    head = ("precision", "engine", "method", "rank correlation, mean", "5 % quantile",
            "overlap of the top 10 %, mean", "5 % quantile", "flat in one alone")  # fmt: skip
    return lines(head, rows)


def predictions() -> str:
    """Return what predictions and the analysis of features change by."""
    table = read()
    if table is None:
        return NOT_YET

    def out_of(part: str, what: str, whole: str) -> Callable[[tuple[str, str]], str]:
        return lambda way: (
            f"{int(value(table, way, part, '', what))} of {int(value(table, way, part, '', whole))}"
        )

    def number(part: str, what: str) -> Callable[[tuple[str, str]], str]:
        return lambda way: f"{value(table, way, part, '', what):.3g}"

    given = "partial correlation given the others, largest change"
    lift = "lift of maps over masks, largest relative change"
    told: dict[str, Callable[[tuple[str, str]], str]] = {
        "predicted classes that change": out_of("predictions", "classes that change", "images"),
        "change of a probability, median": number("predictions", "probability, median change"),
        "the same, largest": number("predictions", "probability, largest change"),
        "change of a rank effect, largest": number("usage", "rank effect, largest change"),
        "change of an effect in bits, largest": number("usage", "effect in bits, largest change"),
        "change of a partial correlation given the others, largest": number("usage", given),
        "p-values that cross 0.05": out_of("usage", "p-values that cross 0.05", "tests"),
        "adjusted p-values that cross 0.05":
            out_of("usage", "adjusted p-values that cross 0.05", "tests"),
        "verdicts that change": out_of("usage", "verdicts that change", "verdicts"),
        "relative change of a map's lift over masks, largest": number("usage", lift),
    }  # fmt: skip
    there = ways(table)
    head = ["", *(f"{precision}, {engine}" for precision, engine in there)]
    return lines(head, [[name, *(one(way) for way in there)] for name, one in told.items()])


def speed() -> str:
    """Return the time of a pass with Grad-CAM."""
    table = read()
    if table is None:
        return NOT_YET
    rows = []
    for way in (BASE, *ways(table)):
        middle, low, high = (
            value(table, way, "speed", "", one) for one in ("seconds, of 32", "low", "high")
        )
        rows.append([*way, f"{middle:.2f} ({low:.2f} to {high:.2f})"])
    return lines(("precision", "engine", "time of a pass, of 32 in torch"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "machine": machine,
    "maps": maps,
    "predictions": predictions,
    "speed": speed,
}


def renewed(page: str) -> str:
    """Return the page with its parts written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[4]}", page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
