"""What a reversed test set costs the model, and how much of that each artifact explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from xattn.analysis.evaluation.metrics import by_guessing
from xattn.analysis.evaluation.trap import ALL, NOTHING
from xattn.figures import style
from xattn.figures.drawing.forest import (
    Rows,
    chance_ticks,
    intervals,
    key,
    key_of_tick,
    row_height,
    spread_out,
    stacked,
)
from xattn.figures.drawing.panels import legend, letter, panels_over_rows, say_above, zero_line
from xattn.figures.registry import NothingToDrawError, figure
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FEATURES = 20
"""Rows that fit a page when they stand below each other twice; the table holds the others."""

_METRICS = {"balanced_accuracy": "Balanced acc.", "auc": "AUC"}
_NAMES = {NOTHING: "all images", ALL: "all of these"}
_ROW_MM = 6.0
_SIDES = {"amplified": ("blue", "o"), "reversed": ("vermillion", "s")}
_DROP, _EXPLAINED = ("purple", "D"), ("green", "^")


@figure(
    "trap",
    meaning=(
        "Each metric where artifacts go with the label as in training (amplified) and where they "
        "go against it (reversed), over all images and among images alike in an artifact; the drop "
        "from one to the other; and how much of the drop the artifact explains, all with 95 % "
        "intervals."
    ),
    tables=("trap",),
)
def draw_trap(run: RunFolder) -> Figure:
    """Draw three panels a metric: both sides beside chance, the drop, what of it is explained.

    Raises:
        NothingToDrawError: no row has numbers.
    """
    table = run.table("trap")
    table = table[table["metric"].isin(list(_METRICS))]
    if not table["drop"].notna().any():
        raise NothingToDrawError(
            f"Expected drops in {run.path}/trap.csv, but got none: too few images alike"
        )
    corrected = table["alike_in"] != NOTHING
    table = table.assign(feature=table["alike_in"].replace(_NAMES), kind=corrected)
    row_mm = row_height(table, _ROW_MM, 24 + 2 * 18, times=2)
    rows = _rows(table, row_mm)
    table = rows.kept(table)
    metrics = [metric for metric in _METRICS if metric in set(table["metric"])]
    sizes = table.drop_duplicates("feature").set_index("feature")
    notes = {
        str(f): f"  ({int(row['n_amplified']):,} / {int(row['n_reversed']):,})"
        for f, row in sizes.iterrows()
    }
    fig, panels = panels_over_rows(rows, row_mm, notes, 3 * len(metrics), 3)
    chance = by_guessing(len(run.classes))
    for i, metric in enumerate(metrics):
        left, middle, right = panels[3 * i : 3 * i + 3]
        part = table[table["metric"] == metric]
        _draw_sides(left, part, rows, chance[metric])
        left.set_title(_METRICS[metric])
        _draw_drop(middle, part, rows)
        _draw_explained(right, part, rows)
    _fraction_scale([ax for i, ax in enumerate(panels) if i % 3], table)
    letter(panels)
    legend(fig, _legend(), most=3)
    say_above(fig, "Images compared (amplified / reversed); lines are 95 % intervals", rows)
    return fig


def _rows(table: pd.DataFrame, row_mm: float) -> Rows:
    """Place all images on top, then features by what they explain, then all features together."""
    best = table.groupby("feature")["explained"].max().sort_values(ascending=False, kind="stable")
    features = [f for f in best.index if f not in _NAMES.values()]
    shown = features[:MOST_FEATURES]
    there = set(table["feature"])
    plain, aligned = ([_NAMES[n]] if _NAMES[n] in there else [] for n in (NOTHING, ALL))
    parts = [("", plain), ("Among images alike in", [*shown, *aligned])]
    return stacked([part for part in parts if part[1]], row_mm, len(features) - len(shown))


def _draw_sides(ax: Axes, part: pd.DataFrame, rows: Rows, chance: float) -> None:
    """Draw the metric on either side, the reversed one below the other."""
    y = rows.of(part["feature"])
    everything = np.ones(len(part), bool)
    for (side, (colour, marker)), offset in zip(_SIDES.items(), spread_out(2, 0.36), strict=True):
        value, low, high = (part[c] for c in (side, f"{side}_low", f"{side}_high"))
        intervals(ax, value, low, high, y + offset, style.OKABE_ITO[colour], marker, everything,
                  part.index)  # fmt: skip
    ax.axvline(chance, color=style.ink(), linewidth=0.8, linestyle="--", zorder=1)
    ax.margins(x=0.06)
    for at in y[part["drop"].isna().to_numpy()]:
        ax.annotate("too few images", (chance, at), xytext=(4, 0), textcoords="offset points",
                    va="center", fontsize=style.pt(6))  # fmt: skip
    ax.set_xlabel("on either side")


def _draw_drop(ax: Axes, part: pd.DataFrame, rows: Rows) -> None:
    """Draw the drop beside that of the same images without regard to the feature."""
    y = rows.of(part["feature"])
    colour, marker = style.OKABE_ITO[_DROP[0]], _DROP[1]
    everything = np.ones(len(part), bool)
    chance_ticks(ax, part["drop"] + part["explained"], y)
    intervals(ax, part["drop"], part["drop_low"], part["drop_high"], y, colour, marker, everything,
              part.index)  # fmt: skip
    zero_line(ax)
    ax.set_title("Drop")
    ax.set_xlabel("amplified − reversed")


def _draw_explained(ax: Axes, part: pd.DataFrame, rows: Rows) -> None:
    colour, marker = style.OKABE_ITO[_EXPLAINED[0]], _EXPLAINED[1]
    value, low, high = (part[c] for c in ("explained", "explained_low", "explained_high"))
    everything = np.ones(len(part), bool)
    intervals(ax, value, low, high, rows.of(part["feature"]), colour, marker, everything,
              part.index)  # fmt: skip
    zero_line(ax)
    ax.set_title("Explained")
    ax.set_xlabel("drop that is gone")


def _fraction_scale(panels: list[Axes], table: pd.DataFrame) -> None:
    """Give drops and their explanations one scale, so that lengths can be compared."""
    columns = [f"{what}{end}" for what in ("drop", "explained") for end in ("", "_low", "_high")]
    values = np.append(table[columns].to_numpy(float), 0.0)
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.06 * max(high - low, 0.01)
    for ax in panels:
        ax.set_xlim(low - margin, high + margin)


def _legend() -> list[Artist]:
    words = {"amplified": "with the label", "reversed": "against the label"}
    handles: list[Artist] = [
        key(style.OKABE_ITO[colour], marker, f"{side}: {words[side]}")
        for side, (colour, marker) in _SIDES.items()
    ]
    handles.append(Line2D([], [], color=style.ink(), linewidth=0.8, linestyle="--",
                          label="chance"))  # fmt: skip
    handles.append(key(style.OKABE_ITO[_DROP[0]], _DROP[1], "drop"))
    handles.append(key_of_tick("the same, not corrected"))
    handles.append(key(style.OKABE_ITO[_EXPLAINED[0]], _EXPLAINED[1], "explained by the artifact"))
    return handles
