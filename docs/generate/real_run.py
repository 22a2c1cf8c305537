"""The tables of docs/real-run.md, from the run folders that its commands leave.

    python docs/generate/real_run.py resnet18 resnet18-ga lite0

Run folders in the order of the columns. Rewrites what stands between the markers of each table;
the sentences about them are written by hand, and have to be read again afterwards.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from xattn.runs import RunFolder
from xattn.runs.tables.verdicts import BRIEF_VERDICTS, COMES_WITH

PAGE = Path(__file__).parents[1] / "real-run.md"
ALPHA = 0.05
NAMES = {"resnet18": "ResNet18", "resnet18-ga": "ResNet18-GA", "lite0": "Lite0"}

Runs = Sequence[RunFolder]


def alignment(runs: Runs) -> str:
    """Return lift per feature with masks and method, beside that on masks of other images."""
    tables = {run: run.table("alignment").query("label == 'all'") for run in runs}
    columns = [(run, method) for run in runs for method in run.methods]
    heads = ["feature", "n"]
    for run, method in columns:
        heads += [f"{name(run)} {method}", "other images' masks"]
    rows = []
    for feature in dict.fromkeys(tables[runs[0]]["feature"]):
        cells = [feature, ""]
        for run, method in columns:
            own = of(tables[run], feature=feature, method=method)
            if own is None:
                cells += ["-", "-"]
                continue
            cells[1] = str(int(own["n"]))
            value = interval(own, "lift", "lift_low", "lift_high", signed=False)
            coarse = " (too coarse)" if own.get("too_coarse") is True else ""
            cells += [bold(value, own["p_adjusted"]) + coarse, number(own["chance_lift"])]
        prior = of(tables[runs[0]], feature=feature, method="centre-prior")
        rows.append([*cells, "-" if prior is None else number(prior["lift"])])
    return markdown([*heads, "centre prior"], rows)


def usage(runs: Runs) -> str:
    """Return the test of least p-value of each feature."""
    tables = [run.table("feature_usage") for run in runs]
    heads = ["feature", "kind"]
    for run in runs:
        heads += [f"{name(run)}: test", "n", "effect, bits", "rank effect", "adjusted p"]
    rows = []
    for feature in dict.fromkeys(tables[0]["feature"]):
        cells = [feature, str(tables[0].query("feature == @feature")["kind"].iloc[0])]
        for table in tables:
            own = table[(table["feature"] == feature) & table["p_value"].notna()]
            if not len(own):
                cells += ["-"] * 5
                continue
            best = own.sort_values(["p_adjusted", "p_value"], kind="stable").iloc[0]
            what = re.search(r"\((\w+)\)", str(best["test"]))
            cells += [
                what[1] if what else str(best["test"]),
                str(int(best["n"])),
                interval(best, "effect_bits", "effect_low", "effect_high", places=3, signed=False),
                number(best["rank_effect"], signed=True),
                bold(number(best["p_adjusted"], 3), best["p_adjusted"]),
            ]
        rows.append(cells)
    return markdown(heads, rows)


def interventions(runs: Runs) -> str:
    """Return every edit with its control."""
    tables = [run.table("interventions") for run in runs]
    heads = ["feature", "edit", "masks"]
    for run in runs:
        heads += [f"{name(run)}: change", "of the control", "excess", "flips, of the control"]
    keys = dict.fromkeys(zip(tables[0]["feature"], tables[0]["intervention"], strict=True))
    rows = []
    for feature, edit in keys:
        first = of(tables[0], feature=feature, intervention=edit)
        cells = [feature, edit, str(first.get("masks", "")) if first is not None else ""]
        for table in tables:
            own = of(table, feature=feature, intervention=edit)
            if own is None or pd.isna(own["delta_logit"]):
                cells += ["-"] * 4
                continue
            excess = interval(own, "excess_logit", "excess_low", "excess_high")
            flips = bold(number(own["flip_rate"]), own["p_mcnemar"])
            cells += [
                number(own["delta_logit"], signed=True),
                number(own["control_delta_logit"], signed=True),
                bold(excess, own["p_adjusted"]),
                f"{flips}, {number(own['control_flip_rate'])}",
            ]
        rows.append(cells)
    return markdown(heads, rows)


def doses(runs: Runs) -> str:
    """Return the slope of every graded edit, in standard deviations of the score."""
    tables = [run.table("doses").drop_duplicates(["feature", "intervention"]) for run in runs]
    heads = ["feature", "graded edit", "masks", "unit of dose"]
    for run in runs:
        heads += [f"{name(run)}: slope, SD per unit", "adjusted p", "n"]
    keys = dict.fromkeys(zip(tables[0]["feature"], tables[0]["intervention"], strict=True))
    rows = []
    for feature, edit in keys:
        first = of(tables[0], feature=feature, intervention=edit)
        cells = [feature, edit, str(first["masks"]), str(first["unit"])]
        for table in tables:
            own = of(table, feature=feature, intervention=edit)
            if own is None or pd.isna(own["slope"]):
                cells += ["-"] * 3
                continue
            scaled = own[["slope", "slope_low", "slope_high"]].astype(float) / own["score_sd"]
            value = interval(scaled, "slope", "slope_low", "slope_high", places=3)
            p = own["p_adjusted"]
            cells += [bold(value, p), bold(number(p, 3), p), str(int(own["n_control"]))]
        rows.append(cells)
    return markdown(heads, rows)


def verdicts(runs: Runs) -> str:
    """Return what follows, beside the partial correlation given the others."""
    tables = [run.table("verdicts") for run in runs]
    heads = ["feature"]
    for run in runs:
        heads += [name(run), "decided by", "given the others"]
    rows = []
    for feature in dict.fromkeys(str(f) for table in tables for f in table["feature"]):
        cells = [feature]
        for table in tables:
            own = of(table, feature=feature)
            if own is None:
                cells += ["-"] * 3
                continue
            brief = BRIEF_VERDICTS.get(own["verdict"], own["verdict"])
            if own["verdict"] == COMES_WITH and isinstance(own["explained_by"], str):
                brief = f"comes with {own['explained_by'].replace(';', ',')}"
            given = interval(own, "effect_given", "effect_given_low", "effect_given_high")
            by = own.get("decided_by")
            cells += [
                brief,
                by if isinstance(by, str) else "",
                bold(given, own["p_given_adjusted"]) if given else "-",
            ]
        rows.append(cells)
    return markdown(heads, rows)


def concepts(runs: Runs) -> str:
    """Return what the networks hold inside, and what moves their score."""
    tables = [run.table("concepts") for run in runs]
    heads = ["feature"]
    for run in runs:
        heads += [f"{name(run)}: AUC", "derivative, SD", "finding"]
    rows = []
    for feature in dict.fromkeys(tables[0]["feature"]):
        cells = [str(feature)]
        for table in tables:
            own = of(table, feature=feature)
            if own is None or pd.isna(own["auc"]):
                cells += ["-"] * 3
                continue
            parts = ("derivative", "derivative_low", "derivative_high")
            scaled = own[list(parts)].astype(float) / own["score_sd"]
            cells += [
                interval(own, "auc", "auc_low", "auc_high", signed=False),
                interval(scaled, *parts),
                str(own["finding"]),
            ]
        rows.append(cells)
    return markdown(heads, rows)


def bias(runs: Runs) -> str:
    """Return gaps of rates, of artifacts and groups; sites are left out."""
    tables = [run.table("bias") for run in runs]
    heads = ["artifact", "metric"]
    for run in runs:
        heads += [f"{name(run)} with", "without", "gap"]
    first = tables[0][tables[0]["metric"].isin(["tpr", "fpr"])]
    first = first[~first["feature"].str.startswith("site=")]
    rows = []
    for feature, metric in zip(first["feature"], first["metric"], strict=True):
        cells = [str(feature), str(metric)]
        for table in tables:
            own = of(table, feature=feature, metric=metric)
            if own is None:
                cells += ["-"] * 3
                continue
            gap = interval(own, "gap", "gap_low", "gap_high")
            cells += [
                number(own["present"]),
                number(own["absent"]),
                bold(gap, own["p_adjusted"]) or "-",
            ]
        if any(cell != "-" for cell in cells[4::3]):
            rows.append(cells)
    return markdown(heads, rows)


TABLES: dict[str, Callable[[Runs], str]] = {
    one.__name__: one for one in (alignment, usage, interventions, doses, verdicts, concepts, bias)
}


def name(run: RunFolder) -> str:
    """Return a network's name for the page."""
    return NAMES.get(run.path.name, run.path.name)


def of(table: pd.DataFrame, **values: object) -> pd.Series | None:
    """Return the row with these values, None if there is none."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table.iloc[0] if len(table) else None


def number(value: float, places: int = 2, *, signed: bool = False) -> str:
    """Return a number in a cell."""
    return "-" if pd.isna(value) else f"{value:{'+' if signed else ''}.{places}f}"


def interval(
    row: pd.Series, value: str, low: str, high: str, *, places: int = 2, signed: bool = True
) -> str:
    """Return a value with its interval; "" if there is none."""
    if pd.isna(row[value]):
        return ""
    middle, below, above = (number(row[c], places, signed=signed) for c in (value, low, high))
    return f"{middle} ({below} to {above})"


def bold(text: str, p: float) -> str:
    """Return a cell in bold where its p-value says so."""
    return f"**{text}**" if text and p < ALPHA else text


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def renewed(text: str, runs: Runs) -> str:
    """Return the page with its tables made anew."""
    for key, make in TABLES.items():
        begin, end = f"<!-- table: {key} -->", f"<!-- end of table: {key} -->"
        if begin not in text:
            continue
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make(runs)}\n{end}{after}"
    return text


if __name__ == "__main__":
    folders = [RunFolder.open(path) for path in sys.argv[1:]]
    if not folders:
        sys.exit(__doc__)
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), folders), encoding="utf-8")
