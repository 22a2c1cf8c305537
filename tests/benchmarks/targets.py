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
        table, subject, candidate: where its number stands.
        limit: the largest ratio that meets it.
        peers: what others cost, as it is known.
    """

    what: str
    table: str
    subject: str
    candidate: str
    limit: float
    peers: str = "none"

    def record(self, tables: Mapping[str, Table]) -> dict[str, object]:
        """Return the target with the median that was measured, and whether that meets it."""
        ratio = tables[self.table].ratio(self.subject, self.candidate)
        return {
            "target": self.what,
            "limit": self.limit,
            "measured": ratio.median,
            "low": ratio.low,
            "high": ratio.high,
            "met": "met" if float(f"{ratio.median:.2g}") <= self.limit else "not met",
            "peers": self.peers,
        }


TARGETS = (
    Target(
        "gradcam, ResNet18",
        "grad-cam",
        "resnet18",
        "xattn",
        0.75,
        "3.4 pytorch-grad-cam, 1.0 captum",
    ),
    Target(
        "gradcam, EfficientNet-B0",
        "grad-cam",
        "efficientnet_b0",
        "xattn",
        0.75,
        "4.4 pytorch-grad-cam, 1.1 captum",
    ),
    Target("gradcam, ViT-Ti", "attending", VIT, "xattn gradcam", 1.10, "3.0 pytorch-grad-cam"),
    Target(
        "five CAMs at once, ResNet18",
        "grad-cam",
        "resnet18",
        "xattn, five CAMs at once",
        0.90,
        "about 15",
    ),
    Target("rollout, ViT-Ti", "attending", VIT, "xattn rollout", 1.15, "2.9 vit-explain"),
    Target("attention of the GA hybrid", "attending", "resnet18-ga", "xattn attention", 1.10),
    Target("attention of the LA hybrid", "attending", "resnet18-la", "xattn attention", 1.10),
    Target("attention of the ELA hybrid", "attending", "resnet18-ela", "xattn attention", 1.10),
    Target(
        "peak memory, gradcam, ResNet18",
        "memory",
        "resnet18",
        "xattn",
        1.10,
        "4.8 pytorch-grad-cam, 3.5 captum",
    ),
    Target(
        "explain from 600 x 450 JPEGs to maps and overlays, ResNet18",
        "pipeline",
        "resnet18",
        "xattn explain",
        1.10,
        "about 3.7 the usual script",
    ),
    Target(
        "decoding of 6000 x 4000 JPEGs, of a full decode",
        "decode",
        "decode",
        "decode at a reduced scale",
        1 / 3,
    ),
    Target(
        "usage test of 30 features without intervals, n = 5,000, of its bare products",
        "usage",
        "table",
        "whole table without intervals",
        2.5,
    ),
    Target(
        "usage test without intervals, n = 2,000, of one KCI test",
        "kci",
        "one test",
        "xattn, in a table of 30, without intervals",
        1 / 500,
        "1 causal-learn",
    ),
)


def records(tables: Mapping[str, Table]) -> list[dict[str, object]]:
    """Return a row for each target whose table was measured."""
    return [target.record(tables) for target in TARGETS if target.table in tables]


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Write the targets as a table."""
    lines = ["### Targets", "", "| | target | measured | | peers |", "|---|---|---|---|---|"]
    for row in rows:
        numbers = (float(str(row[k])) for k in ("limit", "measured", "low", "high"))
        limit, measured, low, high = map(short, numbers)
        cells = (row["target"], f"<= {limit}", f"{measured} ({low} to {high})", row["met"])
        lines.append("| " + " | ".join(map(str, (*cells, row["peers"]))) + " |")
    return "\n".join(lines) + "\n"
