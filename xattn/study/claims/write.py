"""claims.csv and claims.md of a study's folders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from xattn.errors import RunError
from xattn.runs import ComparisonFolder, RunFolder, TableFolder
from xattn.runs.atomic import write_text
from xattn.runs.record import begin_record, end_record
from xattn.runs.tables.claims import CLAIMS
from xattn.study.claims.judge import ALL, Network, judge, rows_of
from xattn.study.claims.measured import Measured
from xattn.study.claims.settings import Claim

SCHEMA = "xattn-claims/1"


def write_claims(
    claims: Sequence[Claim],
    networks: Sequence[Measured],
    comparison: Path | None,
    out: Path,
    alpha: float = 0.05,
) -> list[Path]:
    """Hold every claim against what the networks of a study showed.

    Args:
        claims: what is said.
        networks: those of which all is measured.
        comparison: folder of their comparison, None if there is none.
        out: the folder for claims.csv, claims.md and claims.json.
        alpha: level of the feature usage.

    Returns:
        The files.
    """
    read = [_read(one) for one in networks]
    pairs = None if comparison is None else ComparisonFolder.open(comparison).table("comparison")
    rows: list[Mapping[str, object]] = []
    for claim in claims:
        rows += rows_of(claim, judge(claim, read, pairs, alpha))
    table = pd.DataFrame(rows, columns=list(CLAIMS.promised))
    out.mkdir(parents=True, exist_ok=True)
    begin_record(out / "claims.json")
    path = TableFolder(out).write_table("claims", table)
    page = out / "claims.md"
    write_text(page, as_markdown(table))
    counts = {"networks": len(read), "learned": sum(one.learned for one in read)}
    said = [one.to_dict() for one in claims]
    facts = {"schema": SCHEMA, "claims": said, "alpha": alpha, **counts}
    end_record(out / "claims.json", facts, [path.name, page.name])
    return [path, page, out / "claims.json"]


def _read(one: Measured) -> Network:
    performance = TableFolder(one.scored).table("performance")
    own = performance[
        (performance["split"] == "test")
        & (performance["domain"] == ALL)
        & (performance["metric"] == "balanced_accuracy")
        & (performance["class"] == ALL)
    ]
    if not len(own):
        raise RunError(
            f"Expected the balanced accuracy on test images in {one.scored / 'performance.csv'}, "
            "to know whether the network learnt, but it is not there"
        )
    low, chance = (float(own[name].iloc[0]) for name in ("low", "chance"))
    return Network(one.model, RunFolder.open(one.run).table("verdicts"), low > chance)


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table for a page: a row of each claim, its parts below it.

    Args:
        table: claims.csv.
    """
    lines = [
        "| claim | about | found | what was measured | n | effect given the others | smallest |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        whole = row["about"] == ALL
        effect = _interval(row["effect"], row["effect_low"], row["effect_high"], signed=True)
        value = _interval(row["value"], row["low"], row["high"], signed="differ" in row["measure"])
        cells = (
            f"**{row['claim']}** ({row['source']})" if whole else "",
            "" if whole else f"`{row['about']}`",
            f"**{row['found']}**" if whole else row["found"],
            "" if whole else f"{row['measure']}: {value}" if value else "not measured",
            "" if whole else str(row["n"]),
            effect,
            "" if pd.isna(row["smallest"]) else f"{row['smallest']:.3f}",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _interval(value: float, low: float, high: float, *, signed: bool) -> str:
    if math.isnan(value):
        return ""
    sign = "+" if signed else ""
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"
