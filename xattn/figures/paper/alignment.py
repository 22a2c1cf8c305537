"""Where the maps lie: lift on each feature's mask, beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from xattn.figures import style
from xattn.figures.drawing.forest import (
    MOST_FEATURES,
    chance_ticks,
    intervals,
    key,
    key_of_tick,
    keys_of_significance,
    label_rows,
    row_height,
    rows_by_kind,
    significant,
    spread_out,
)
from xattn.figures.drawing.panels import legend
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALL_LABELS = "all"
"""Value of the column `label` in rows over images of every label."""

_LEAST, _MOST = 1 / 64, 64.0  # lifts beyond are drawn at the edge


@figure(
    "alignment",
    meaning=(
        "Lift of each attribution method on each feature: the fraction of positive attribution "
        "inside the mask over the mask's fraction of the pixels, with 95 % bootstrap intervals; 1 "
        "is a map spread evenly, the vertical ticks are the same maps against masks of other "
        "images of the same label."
    ),
    tables=("alignment",),
)
def draw_alignment(run: RunFolder) -> Figure:
    """Draw lift per feature and method over all labels, on a logarithmic axis."""
    sources = RunSources(run)
    table = run.table("alignment")
    table = table[table["label"] == ALL_LABELS]
    if not table["lift"].notna().any():
        raise NothingToDrawError(
            f"Expected lifts over all labels in {run.path}/alignment.csv, but got none"
        )
    methods = list(dict.fromkeys(table["method"]))
    row_mm = row_height(table, 2.2 + 2.4 * len(methods), 44)
    rows = rows_by_kind(table, "lift", row_mm)
    table = rows.kept(table)
    fig = Figure(
        figsize=style.inches(style.text_mm(), 34 + row_mm * rows.height), layout="constrained"
    )
    ax = fig.add_subplot()
    counts = table.groupby("feature")["n"].max()
    label_rows(ax, rows, {str(f): f"  ({int(n):,})" for f, n in counts.items()})
    offsets = spread_out(len(methods))
    colours = dict(zip(run.methods, style.series_colours(len(run.methods)), strict=True))
    # Methods of the table that have no maps in the run are its controls.
    colours |= {m: style.KIND_COLOURS["control"] for m in methods if m not in colours}
    for i, method in enumerate(methods):
        part = table[table["method"] == method]
        y = rows.of(part["feature"]) + offsets[i]
        _draw_method(ax, part, y, colours[method], style.MARKERS[i % len(style.MARKERS)], sources)
    ax.axvline(1, color=style.ink(), linewidth=0.8, zorder=1)
    _lift_axis(ax, table)
    ax.set_xlabel("lift (attribution / area inside the mask); 1 = spread evenly")
    ax.set_title(
        "Feature (number of images with it)", fontsize=style.pt(7), fontweight="normal", loc="left"
    )
    handles = [
        key(colours[m], style.MARKERS[i % len(style.MARKERS)], _named(m, run))
        for i, m in enumerate(methods)
    ]
    if "chance_lift" in table:
        handles.append(key_of_tick("chance: masks of other images"))
    handles += keys_of_significance(sources.alpha, "against chance")
    legend(fig, handles, most=2)
    if rows.left_out:
        fig.suptitle(f"The {MOST_FEATURES} most significant features; {rows.left_out} more in the "
                     "table", fontsize=style.pt(7))  # fmt: skip
    return fig


def _named(method: str, run: RunFolder) -> str:
    return f"{method} (95 % interval)" if method in run.methods else f"{method} (control)"


def _draw_method(
    ax: Axes, part: pd.DataFrame, y: np.ndarray, colour: str, marker: str, sources: RunSources
) -> None:
    lift, low, high = (
        part[c].to_numpy(float).clip(_LEAST, _MOST) for c in ("lift", "lift_low", "lift_high")
    )
    filled = significant(part, sources.alpha)
    intervals(ax, lift, low, high, y, colour, marker, filled, part.index)
    if "chance_lift" in part:
        chance_ticks(ax, part["chance_lift"].clip(_LEAST, _MOST), y)


def _lift_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Scale the axis by doublings, wide enough for all that is drawn and for 1."""
    columns = [c for c in ("lift", "lift_low", "lift_high", "chance_lift") if c in table]
    values = table[columns].to_numpy(float)
    values = values[np.isfinite(values)].clip(_LEAST, _MOST)
    low, high = np.log2(min(values.min(), 0.5)), np.log2(max(values.max(), 2.0))
    ax.set_xscale("log", base=2)
    ax.set_xlim(2 ** (low - 0.12), 2 ** (high + 0.12))
    doublings = 2.0 ** np.arange(np.floor(low), np.ceil(high) + 1)
    ax.xaxis.set_major_locator(FixedLocator(list(doublings)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _as_ratio(float(v))))
    ax.grid(axis="x")


def _as_ratio(value: float) -> str:
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
