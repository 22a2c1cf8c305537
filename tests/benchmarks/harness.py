"""Timing that survives a noisy machine: candidates take turns, ratios are taken round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Ratio:
    """One candidate's time as a ratio to the baseline's: median and range over rounds."""

    name: str
    median: float
    low: float
    high: float


def interleave(
    baseline: str,
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Ratio]:
    """Run all candidates in turn, round after round, and compare each with the baseline."""
    return compared(take_turns(candidates, rounds, warmup, clock), baseline)


def take_turns(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run all candidates in turn, round after round; returns the seconds of each.

    The order turns by one each round, so that no candidate always runs after the same other.
    """
    names = list(candidates)
    for _ in range(warmup):
        for name in names:
            candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            began = clock()
            candidates[name]()
            seconds[name].append(clock() - began)
    return seconds


def compared(seconds: Mapping[str, list[float]], baseline: str) -> list[Ratio]:
    """Compare each candidate with the baseline, round by round."""
    ratios = []
    for name, own in seconds.items():
        each = [a / b for a, b in zip(own, seconds[baseline], strict=True)]
        ratios.append(Ratio(name, statistics.median(each), min(each), max(each)))
    return ratios


@dataclass(frozen=True)
class Table:
    """Ratios of several subjects, such as architectures, each to its own baseline.

    Attributes:
        title: what is compared, and what is 1.
        columns: ratios by subject.
        note: what must be known to read them.
    """

    title: str
    columns: Mapping[str, list[Ratio]]
    note: str = ""

    def ratio(self, subject: str, name: str) -> Ratio:
        """Return one candidate's ratio for one subject."""
        return next(ratio for ratio in self.columns[subject] if ratio.name == name)

    def records(self) -> list[dict[str, object]]:
        """Return a row for each number."""
        return [
            {"table": self.title, "subject": subject, **asdict(ratio)}
            for subject, ratios in self.columns.items()
            for ratio in ratios
        ]

    def __str__(self) -> str:
        return markdown(self.title, self.columns) + (f"\n{self.note}\n" if self.note else "")


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
                f"{short(found[0].median)} ({short(found[0].low)} to {short(found[0].high)})"
                if found
                else "-"
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def short(value: float) -> str:
    """Write a ratio with two decimals, a small one with two digits."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def peak(run: Callable[[], object]) -> int:
    """Return the most bytes of PyTorch's CPU allocator that a call holds at once.

    The highest sum of what its profiler saw handed out and not given back; what was there before
    the call is not counted.
    """
    from torch.profiler import ProfilerActivity, profile

    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    events = recorded.profiler.kineto_results.events()  # the only place with single allocations
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(accumulate(size for _, size in changes))
