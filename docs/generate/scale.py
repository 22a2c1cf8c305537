"""The tables of docs/scale.md, from docs/scale.csv, docs/rates.csv and a simulation.

`python docs/generate/scale.py` writes what stands between a line `<!-- scale: NAME -->` and a line
`<!-- end of scale -->` anew; a test compares. `make scale` and `python -m tests.benchmarks.rates`
make the CSV files; without one its table says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scale.md"
SIZES, RATES = ROOT / "docs" / "scale.csv", ROOT / "docs" / "rates.csv"
MARKED = re.compile(r"(<!-- scale: ([\w-]+) -->\n)(.*?)(<!-- end of scale -->)", re.DOTALL)
NOT_YET = "Not measured yet: no number stands here.\n"
WORKERS, IMAGES = (1, 8, 64), (1_000_000, 100_000_000)
CORE_HOUR = 0.04
"""Dollars, an assumption: of the order of what one costs where machines are rented."""


def sizes() -> str:
    """Return memory and speed by the number of images."""
    if not SIZES.is_file():
        return NOT_YET
    table = pd.read_csv(SIZES)
    lines = [
        "| images | explain, peak MB | images a second | the same call again, s | killed in the "
        "middle and resumed, of one call | feature-usage, peak MB | images a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, one in table.iterrows():
        lines.append(
            f"| {int(one['images']):,} | {one['explain_mb']:,.0f} "
            f"| {one['explain_per_second']:.0f} | {one['nothing_left_s']:.1f} "
            f"| {one['killed_and_resumed']:.2f} "
            f"| {one['feature_usage_mb']:,.0f} | {one['feature_usage_per_second']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def rates() -> str:
    """Return what each step costs an image."""
    if not RATES.is_file():
        return NOT_YET
    lines = ["| step | an image | of |", "|---|---|---|"]
    for _, one in pd.read_csv(RATES).iterrows():
        value = one["an image"]
        shown = f"{1000 * value:.2f} ms" if one["unit"] == "seconds" else f"{value / 1000:.1f} kB"
        lines.append(f"| {one['step']} | {shown} | {one['of']} |")
    return "\n".join(lines) + "\n"


def plan() -> str:
    """Return time, disk and cost of many images on many workers."""
    if not RATES.is_file():
        return NOT_YET
    each = pd.read_csv(RATES).set_index("step")["an image"]
    explain = each["explain"]
    # With a GPU the passes cost nothing: a bound, for none was there to measure.
    fed = max(each["decode"], 0.0) + each["write"]
    usage = each["masks and features"] + each["usage battery"]
    stored, read = each["stored"], each["read"]
    lines = [
        "| images | workers | explain | with a GPU, at least | merge | feature-usage, one machine "
        "| disk | read by all together | core hours, dollars |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in IMAGES:
        for workers in WORKERS:
            seconds = n * explain / workers
            hours = n * explain / 3600
            lines.append(
                f"| {n:,} | {workers} | {duration(seconds)} | {duration(n * fed / workers)} "
                f"| {duration(n * each['merge']) if workers > 1 else '-'} | {duration(n * usage)} "
                f"| {n * stored / 1e9:,.0f} GB | {n * read / seconds / 1e6:,.1f} MB/s "
                f"| {hours:,.0f}, {hours * CORE_HOUR:,.0f} |"
            )
    return "\n".join(lines) + "\n"


def scheduler() -> str:
    """Return what shards, stragglers and failures do to a thousand workers."""
    from tests.benchmarks.scheduler import table

    return table(seeds=20)


def duration(seconds: float) -> str:
    """Return seconds in a unit in which one reads them.

    >>> duration(90), duration(7200), duration(10**6)
    ('90 s', '2.0 h', '11.6 days')
    """
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


PARTS: dict[str, Callable[[], str]] = {
    "sizes": sizes,
    "rates": rates,
    "plan": plan,
    "scheduler": scheduler,
}


def renewed(page: str) -> str:
    """Return the page with its parts written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[4]}", page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
