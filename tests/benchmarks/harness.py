"""Timing that survives a noisy machine: candidates take turns, ratios are taken round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """One candidate's time as a ratio to the baseline's: median and range over rounds."""

    name: str
    median: float
    low: float
    high: float


def interleave(
    baseline: str, candidates: Mapping[str, Callable[[], object]], rounds: int = 5, warmup: int = 1
) -> list[Ratio]:
    """Run all candidates in turn, round after round, and compare each with the baseline.

    The order turns by one each round, so that no candidate always runs after the same other.
    """
    names = list(candidates)
    for _ in range(warmup):
        for name in names:
            candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            began = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - began)
    ratios = []
    for name in names:
        each = [a / b for a, b in zip(seconds[name], seconds[baseline], strict=True)]
        ratios.append(Ratio(name, statistics.median(each), min(each), max(each)))
    return ratios


def markdown(title: str, columns: Mapping[str, list[Ratio]]) -> str:
    """Write ratios as a table, candidates as rows."""
    names = list(dict.fromkeys(r.name for ratios in columns.values() for r in ratios))
    lines = [f"### {title}", "", "| | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name in names:
        cells = []
        for ratios in columns.values():
            found = [r for r in ratios if r.name == name]
            cells.append(
                f"{found[0].median:.2f} ({found[0].low:.2f} to {found[0].high:.2f})"
                if found
                else "-"
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
