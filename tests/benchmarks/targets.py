"""What was aimed at, and whether it was met: the first table of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.harness import Table, short

VIT = "vit_tiny_patch16_224"


@dataclass(frozen=True)
class Target:
    """A ratio that was aimed at.

    Attributes:
        what: is measured.
        table, subject: where its number stands.
        candidates: by name; the fastest counts, of those that were measured.
        limit: the largest ratio that meets it, or with `least` the smallest.
        least: whether more is better.
        lacking: why there is no number where no candidate was measured.
    """

    what: str
    table: str
    subject: str
    candidates: tuple[str, ...]
    limit: float
    least: bool = False
    lacking: str = ""

    def record(self, tables: Mapping[str, Table]) -> dict[str, object]:
        """Return the target with the median that was measured, and whether that meets it."""
        there = [r for r in tables[self.table].columns[self.subject] if r.name in self.candidates]
        about = {"target": self.what, "limit": f"{'>=' if self.least else '<='} {self.limit:g}"}
        if not there:
            return {**about, "measured": "", "met": self.lacking}
        best = min(there, key=lambda ratio: ratio.median)
        median = float(f"{best.median:.2g}")
        met = median >= self.limit if self.least else median <= self.limit
        measured = f"{short(best.median)} ({short(best.low)} to {short(best.high)})"
        return {**about, "measured": measured, "met": "met" if met else "not met"}


def _of(name: str) -> tuple[str, ...]:
    """Return the candidates of all engines."""
    head, comma, rest = name.partition(",")
    return tuple(f"{head} [{engine}]{comma}{rest}" for engine in ("torch", "openvino", "compile"))


_NO_AMX = "not measured: this processor has no AMX"

TARGETS = (
    Target("gradcam, ResNet18", "grad-cam", "resnet18", _of("xattn"), 0.45),
    Target("gradcam, EfficientNet-B0", "grad-cam", "efficientnet_b0", _of("xattn"), 0.30),
    Target("gradcam, ViT-Ti", "attending", VIT, _of("xattn gradcam"), 0.50),
    Target(
        "five CAMs at once, ResNet18",
        "grad-cam",
        "resnet18",
        _of("xattn, five CAMs at once"),
        0.47,
    ),
    Target("attention of the GA hybrid", "attending", "resnet18-ga", _of("xattn attention"), 0.55),
    Target("attention of the LA hybrid", "attending", "resnet18-la", _of("xattn attention"), 0.55),
    Target(
        "attention of the ELA hybrid", "attending", "resnet18-ela", _of("xattn attention"), 0.55
    ),
    Target("rollout, ViT-Ti", "attending", VIT, _of("xattn rollout"), 0.60),
    Target(
        "bf16 on AMX, ResNet18", "grad-cam", "resnet18", ("xattn [openvino], bf16",), 0.12,
        lacking=_NO_AMX,
    ),
    Target(
        "bf16 on AMX, ViT-Ti", "attending", VIT, ("xattn gradcam [openvino], bf16",), 0.20,
        lacking=_NO_AMX,
    ),
    Target(
        "explain from 600 x 450 JPEGs to maps and overlays, ResNet18",
        "pipeline",
        "bare forward of as many = 1",
        ("xattn explain",),
        0.70,
    ),
    Target(
        "the usual pytorch-grad-cam script, of ours",
        "pipeline",
        "xattn explain = 1",
        ("the usual script",),
        6.0,
        least=True,
    ),
    Target(
        "decoding of 6000 x 4000 JPEGs, of a full decode",
        "decode",
        "decode",
        ("decode at a reduced scale",),
        0.33,
    ),
    Target(
        "usage test of 30 features, n = 5,000, without intervals, of its bare products",
        "usage",
        "table",
        ("whole table without intervals",),
        1.8,
    ),
    Target("the same with intervals", "usage", "table", ("whole table",), 2.2),
    Target(
        "one usage test in that table, n = 2,000, of one KCI test",
        "kci",
        "one test",
        ("xattn, in a table of 30, without intervals",),
        0.001,
    ),
    Target("peak memory, gradcam, ResNet18", "memory", "resnet18", ("xattn [torch]",), 0.90),
)  # fmt: skip


def records(tables: Mapping[str, Table]) -> list[dict[str, object]]:
    """Return a row for each target whose table was measured."""
    return [target.record(tables) for target in TARGETS if target.table in tables]


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Write the targets as a table."""
    lines = ["### Targets", "", "| | target | measured | |", "|---|---|---|---|"]
    for row in rows:
        cells = (row["target"], row["limit"], row["measured"], row["met"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"
