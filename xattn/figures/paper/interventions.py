"""What happens to the score when a feature is edited, beside the same edit elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from xattn.analysis.verdicts.rules import SMALLEST_CHANGE
from xattn.figures import style
from xattn.figures.drawing.forest import (
    Rows,
    intervals,
    intervals_by_kind,
    key,
    keys_of_kinds,
    keys_of_significance,
    kind_colour,
    label_rows,
    row_height,
    rows_by_kind,
)
from xattn.figures.drawing.interactive import BESIDE, mark
from xattn.figures.drawing.panels import legend, letter, rows_of_a_neighbour, say_above, zero_line
from xattn.figures.numbers import count, readable
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_ROW_MM = 5.4
_BESIDE = 0.17  # the edit stands so much above the middle of its row, the control below
_CONTROL_MARKER = "s"


@figure(
    "interventions",
    meaning=(
        "Change of the score, in log odds, when a feature is removed from images or inserted, with "
        "the 95 % bootstrap interval of the mean, beside the same edit where the feature is not "
        "(control); the difference of the two image by image with its interval; and the fraction "
        "of images whose predicted class changes."
    ),
    tables=("interventions",),
)
def draw_interventions(run: RunFolder) -> Figure:
    """Draw a row per feature and edit: both changes, their paired difference, both flip rates."""
    sources = RunSources(run)
    every = run.table("interventions")
    table = every[every["delta_logit"].notna()].copy()
    if table.empty:
        why = every["note"].dropna().iloc[0] if "note" in every else "no number"
        raise NothingToDrawError(
            f"Expected edits with numbers in {run.path}/interventions.csv, but got none: {why}"
        )
    if "kind" not in table:
        table["kind"] = table["feature"].map(sources.kinds).fillna("")
    table = _named(table)
    row_mm = row_height(table, _ROW_MM, 46)
    rows = rows_by_kind(table, "order", row_mm)
    table = rows.kept(table)
    paired = "excess_logit" in table
    fig = Figure(figsize=style.inches(style.page_mm(), 36 + row_mm * rows.height),
                 layout="constrained")  # fmt: skip
    ratios = [1.2, 1.2, 1] if paired else [1.2, 1]
    axes = fig.subplots(1, len(ratios), sharey=True, width_ratios=ratios)
    label_rows(axes[0], rows, _numbers_of_images(table))
    for ax in axes[1:]:
        rows_of_a_neighbour(ax, rows)
    axes[0].grid(axis="x")
    _draw_changes(axes[0], table, rows)
    if paired:
        _draw_excess(axes[1], table, rows, sources.alpha)
    _draw_flips(axes[-1], table, rows)
    axes[0].set_xlabel(f"change of log odds\n{_of_class(run, sources)}")
    letter(axes)
    legend(fig, _legend(table, sources.alpha, paired), most=3)
    note = "Feature, edit (number of images edited)"
    without = len(every) - int(every["delta_logit"].notna().sum())
    if without:
        note += f"; {count(without, 'edit')} without numbers, for reasons in the table"
    say_above(fig, note, rows)
    return fig


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Name each row after feature and edit, edits of a feature together, the largest on top."""
    size = table["excess_logit"] if "excess_logit" in table else table["delta_logit"]
    strongest = size.abs().groupby(table["feature"]).transform("max").fillna(-1)
    place = strongest.rank(method="dense") - table.groupby("feature").cumcount() / 100
    table["order"] = place
    table["feature"] = table["feature"] + ", " + table["intervention"]
    return table


def _numbers_of_images(table: pd.DataFrame) -> dict[str, str]:
    return {str(f): f"  ({int(n):,})" for f, n in zip(table["feature"], table["n"], strict=True)}


def _of_class(run: RunFolder, sources: RunSources) -> str:
    if sources.positive is None:
        return "of the class before"
    return f"of “{readable(sources.positive)}”"


def _draw_changes(ax: Axes, table: pd.DataFrame, rows: Rows) -> None:
    """Draw the edit with its interval above its control, which has none in the table."""
    for kind, part in table.groupby("kind", sort=True):
        y = rows.of(part["feature"])
        colour = kind_colour(kind)
        everything = np.ones(len(part), bool)
        intervals(ax, part["delta_logit"], part["delta_low"], part["delta_high"], y - _BESIDE,
                  colour, "o", everything, part.index)  # fmt: skip
        _draw_controls(ax, part["control_delta_logit"], y + _BESIDE)
    zero_line(ax)
    ax.set_title("Change")


def _draw_controls(ax: Axes, x: pd.Series[float], y: NDArray[np.float64]) -> None:
    known = np.asarray(x.notna())
    dots = ax.scatter(x[known], y[known], s=12, marker=_CONTROL_MARKER, facecolor=style.paper(),
                      edgecolor=style.KIND_COLOURS["control"], linewidth=0.9,
                      zorder=3)  # fmt: skip
    mark(dots, x.index[known], BESIDE)


def _draw_excess(ax: Axes, table: pd.DataFrame, rows: Rows, alpha: float) -> None:
    """Draw the paired difference over the band of changes that are too small to matter."""
    if "score_sd" in table and table["score_sd"].notna().any():
        small = SMALLEST_CHANGE * float(table["score_sd"].median())
        ax.axvspan(-small, small, color=style.faint(), alpha=0.9, linewidth=0, zorder=0.5)
    columns = ("excess_logit", "excess_low", "excess_high")
    intervals_by_kind(ax, table, columns, rows, alpha)
    for y in rows.of(table.loc[table["excess_logit"].isna(), "feature"]):
        ax.annotate("no control", (0, y), xytext=(5, 0), textcoords="offset points", va="center",
                    fontsize=style.pt(6))  # fmt: skip
    zero_line(ax)
    ax.set_title("Excess")
    ax.set_xlabel("edit − control,\nimage by image")


def _draw_flips(ax: Axes, table: pd.DataFrame, rows: Rows) -> None:
    """Draw both fractions of changed decisions, joined, in per cent of the images edited."""
    for kind, part in table.groupby("kind", sort=True):
        y = rows.of(part["feature"])
        colour = kind_colour(kind)
        edit, control = (100 * part[c] for c in ("flip_rate", "control_flip_rate"))
        mark(ax.scatter(edit, y - _BESIDE, s=17, color=colour, zorder=3), part.index)
        _draw_controls(ax, control, y + _BESIDE)
    zero_line(ax)
    ax.set_xlim(left=-0.04 * ax.get_xlim()[1])
    ax.set_title("Decisions")
    ax.set_xlabel("images that\nchange class, %")


def _legend(table: pd.DataFrame, alpha: float, paired: bool) -> list[Artist]:
    handles: list[Artist] = [*keys_of_kinds(table, ", 95 % interval")]
    control = key(style.KIND_COLOURS["control"], _CONTROL_MARKER, "the same edit elsewhere", False)
    control.set_linestyle("none")
    handles.append(control)
    if paired:
        handles += keys_of_significance(alpha, "(edit − control)")
        if "score_sd" in table:
            handles.append(Patch(color=style.faint(), alpha=0.9, linewidth=0,
                                 label=f"within ±{SMALLEST_CHANGE:g} SD of the score"))  # fmt: skip
    return handles
