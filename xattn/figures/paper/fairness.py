"""How far the groups of each feature are apart at most, beside what chance alone would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from xattn.analysis.groups.fairness import METRICS
from xattn.figures import style
from xattn.figures.drawing.forest import (
    Rows,
    chance_ticks,
    intervals_by_kind,
    key_of_tick,
    keys_of_kinds,
    keys_of_significance,
    row_height,
    rows_by_kind,
)
from xattn.figures.drawing.panels import legend, letter, panels_over_rows, say_above
from xattn.figures.numbers import count
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_MM = 4.6

_PANELS = {
    "equalized_odds_difference": ("Equalised odds", "gap of TPR or FPR,\n% points"),
    "equalized_odds_ratio": ("As a ratio", "ratio of TPRs\nor FPRs"),
    "demographic_parity_difference": ("Parity", "gap of positives,\n% points"),
}
"""Title of each metric's panel, and what its axis shows."""


@figure(
    "fairness",
    meaning=(
        "How far the groups of each feature are apart at most, with 95 % intervals: equalised odds "
        "as a difference and as a ratio, and the demographic parity difference; the ticks are the "
        "mean when groups are assigned at random, since a largest gap is never 0."
    ),
    tables=("fairness",),
)
def draw_fairness(run: RunFolder) -> Figure:
    """Draw a row per feature, one panel a metric.

    Raises:
        NothingToDrawError: no feature has two groups of enough images.
    """
    sources = RunSources(run)
    every = run.table("fairness")
    table = every[every["value"].notna() & every["metric"].isin(METRICS)]
    if table.empty:
        raise NothingToDrawError(
            f"Expected features with two groups of enough images in {run.path}/fairness.csv, "
            "but got none"
        )
    first = table[table["metric"] == table["metric"].iloc[0]].set_index("feature")
    table = table.assign(order=table["feature"].map(first["value"]))
    row_mm = row_height(table, _ROW_MM, 42)
    rows = rows_by_kind(table, "order", row_mm)
    table = rows.kept(table)
    metrics = [metric for metric in METRICS if metric in set(table["metric"])]
    notes = {
        str(f): f"  ({int(row['n']):,}; {len(str(row['categories']).split('; '))})"
        for f, row in first.iterrows()
    }
    fig, panels = panels_over_rows(rows, row_mm, notes, len(metrics), len(metrics))
    for ax, metric in zip(panels, metrics, strict=True):
        _draw_metric(ax, table[table["metric"] == metric], metric, rows, sources.alpha)
    letter(panels)
    handles = keys_of_kinds(table, ", 95 % interval")
    handles.append(key_of_tick("chance: random groups"))
    handles += keys_of_significance(sources.alpha, "")
    legend(fig, handles, most=3)
    words = "Groups furthest apart (images; groups)"
    without = every["feature"].nunique() - first.index.nunique()
    if without:
        words += f"; {count(without, 'feature')} with too few images"
    say_above(fig, words, rows)
    return fig


def _draw_metric(ax: Axes, part: pd.DataFrame, metric: str, rows: Rows, alpha: float) -> None:
    """Draw one metric of every feature, with chance and the line where groups are alike."""
    ratio = metric.endswith("_ratio")
    scale = 1 if ratio else 100
    intervals_by_kind(ax, part, ("value", "low", "high"), rows, alpha, scale)
    chance_ticks(ax, part["chance"], rows.of(part["feature"]), scale)
    ax.axvline(1 if ratio else 0, color=style.ink(), linewidth=0.8, zorder=1)
    title, label = _PANELS[metric]
    ax.set_title(title)
    ax.set_xlabel(label)
