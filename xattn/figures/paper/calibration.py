"""Whether the probabilities of a run mean what they say: reliability diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.drawing.panels import letter
from xattn.figures.numbers import with_interval
from xattn.figures.paper.performance_seeds import SPLIT_NAMES
from xattn.figures.registry import figure
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = "equal mass"
_METRIC = "ece_adaptive"


@figure(
    "calibration",
    meaning=(
        "Fraction of right predictions against their confidence, in bins of equally many images "
        "with 95 % intervals; the band holds 95 % of what a calibrated model would show on as many "
        "images, and the diagonal is perfect calibration."
    ),
    tables=("reliability", "performance"),
)
def draw_calibration(run: RunFolder) -> Figure:
    """Draw one panel per split."""
    table, scores = run.table("reliability"), run.table("performance")
    table = table[table["bins"] == _BINS]
    splits = list(dict.fromkeys(table["split"]))
    width = style.column_mm() if len(splits) == 1 else style.page_mm()
    fig = Figure(figsize=style.inches(width, 96), layout="constrained")
    panels = fig.subplots(1, len(splits), squeeze=False, sharey=True)[0]
    low = min(1 / len(run.classes), float(table["confidence"].min()))
    for i, (ax, split) in enumerate(zip(panels, splits, strict=True)):
        colour = style.series_colours(len(splits))[i]
        _draw(ax, table[table["split"] == split], colour, low)
        ax.set_title(SPLIT_NAMES.get(str(split), str(split)))
        ax.set_xlabel(f"confidence\n{_error(scores, str(split))}")
    letter(panels)
    panels[0].set_ylabel("fraction predicted right")
    return fig


def _draw(ax: Axes, table: pd.DataFrame, colour: str, low: float) -> None:
    table = table.sort_values("confidence")
    x, y = table["confidence"], table["accuracy"]
    ax.fill_between(
        x, table["expected_low"], table["expected_high"], color=style.faint(), alpha=0.7,
        linewidth=0, zorder=0,
    )  # fmt: skip
    ax.plot([0, 1], [0, 1], color=style.ink(), linewidth=0.7, linestyle="--", zorder=1)
    ax.vlines(x, table["low"], table["high"], color=colour, linewidth=1.0, zorder=2)
    ax.plot(x, y, "o", color=colour, markersize=3.5, zorder=3)
    ax.set_xlim(low - 0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.grid()


def _error(scores: pd.DataFrame, split: str) -> str:
    own = scores[(scores["split"] == split) & (scores["domain"] == "all")]
    row = own[own["metric"] == _METRIC].iloc[0]
    error = with_interval(row["value"], row["low"], row["high"])
    chance, n = f"{row['chance']:.2f}", int(row["n"])
    return f"calibration error {error}\na calibrated model: {chance}\n{n} images"
