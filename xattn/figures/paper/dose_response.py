"""Whether the score follows the dose of an edit, beside a control of equal size."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xattn.figures import style
from xattn.figures.drawing.forest import kind_colour
from xattn.figures.drawing.interactive import BESIDE, POINT, mark
from xattn.figures.drawing.panels import legend
from xattn.figures.numbers import MINUS, readable
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_ACROSS, _MANY, _PANEL_MM = 4, 20, 44
"""Panels in a row, one more from `_MANY` panels on, and the height of one."""
_DETECTED = "detected"


@figure(
    "dose-response",
    meaning=(
        "Mean change of the score, in log odds, as a feature is taken away (negative dose) or "
        "added by degrees, with its 95 % bootstrap interval, beside a control that changes the "
        "image as much and leaves the feature alone; in each title the slope beyond the control "
        "per unit of dose, with a star where its adjusted p-value is below alpha."
    ),
    tables=("doses",),
)
def draw_dose_response(run: RunFolder) -> Figure:
    """Draw a panel per feature and graded edit."""
    every, alpha = run.table("doses"), RunSources(run).alpha
    table = every[every["excess_logit"].notna()]
    if table.empty:
        why = every["note"].dropna()
        raise NothingToDrawError(
            f"Expected graded edits with numbers in {run.path}/doses.csv, but got none: "
            f"{why.iloc[0] if len(why) else 'no number'}"
        )
    edits = list(table.groupby(["feature", "intervention"], sort=False))
    counts = Counter(str(feature) for (feature, _), _ in edits)
    across = min(_ACROSS + (len(edits) > _MANY), len(edits))
    down = math.ceil(len(edits) / across)
    fig = Figure(figsize=style.inches(style.page_mm(), 14 + _PANEL_MM * down),
                 layout="constrained")  # fmt: skip
    grid = fig.subplots(down, across, squeeze=False, sharey=True)
    for ax, ((feature, edit), rows) in zip(grid.flat, edits, strict=False):
        _draw(ax, rows, alpha, f", {readable(str(edit))}" if counts[str(feature)] > 1 else "")
    for ax in grid.flat[len(edits) :]:
        ax.set_visible(False)
    for left in grid[:, 0]:
        left.set_ylabel("change of log odds")
    legend(fig, _legend(), most=2)
    return fig


def _draw(ax: Axes, rows: pd.DataFrame, alpha: float, edit: str) -> None:
    """Draw both curves of one edit, named where its feature has several, through 0 at dose 0."""
    first = rows.iloc[0]
    colour = kind_colour(str(first.get("kind", "")))
    control = style.KIND_COLOURS["control"]
    for name, shade, line, marker, what in (
        ("control_delta", control, "--", "s", BESIDE),
        ("delta", colour, "-", "o", POINT),
    ):
        columns = [f"{name}_{end}" for end in ("logit", "low", "high")]
        if not set(columns) <= set(rows):
            columns = columns[:1] * 3
        curve = pd.concat(
            [rows[["dose", *dict.fromkeys(columns)]], pd.DataFrame([{"dose": 0.0}])]
        ).fillna(0.0)
        curve = curve.sort_values("dose")
        x, (y, low, high) = curve["dose"], (curve[c] for c in columns)
        ax.fill_between(x, low, high, color=shade, alpha=0.18, linewidth=0)
        ax.plot(x, y, line, color=shade, linewidth=1.1)
        dots = ax.scatter(rows["dose"], rows[columns[0]], s=9, color=shade, marker=marker, zorder=3)
        mark(dots, rows.index, what)
    ax.axhline(0, color=style.ink(), linewidth=0.6, zorder=1)
    star = "*" if first["p_adjusted"] < alpha else ""
    what = readable(first["feature"]) + edit
    if first.get("masks") == _DETECTED:
        what += " (masks of a detector)"
    slope = f"{first['slope']:+.2g}".replace("-", MINUS)
    ax.set_title(f"{what}\n{slope}{star} ({int(first['n'])} images)",
                 fontsize=style.pt(6.5))  # fmt: skip
    unit = first.get("unit")
    ax.set_xlabel("dose" if not isinstance(unit, str) else unit, fontsize=style.pt(6))
    ax.set_xticks(np.sort(np.append(rows["dose"].to_numpy()[[0, -1]], 0.0)))
    ax.grid()


def _legend() -> list[Artist]:
    return [
        Line2D([], [], color=style.ink(), marker="o", markersize=3, label="the feature changed"),
        Line2D([], [], color=style.KIND_COLOURS["control"], marker="s", markersize=3,
               linestyle="--", label="changed as much, the feature left alone"),
    ]  # fmt: skip
