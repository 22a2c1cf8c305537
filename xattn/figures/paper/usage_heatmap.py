"""Which features several models use: a heat map of effects, significance and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from xattn.errors import RunError
from xattn.figures import style
from xattn.figures.drawing.forest import MOST_FEATURES, Rows, label_rows, row_height, rows_by_kind
from xattn.figures.drawing.panels import legend
from xattn.figures.folders import run_names
from xattn.figures.numbers import MINUS, shortened
from xattn.figures.paper.feature_usage import strongest_tests
from xattn.figures.registry import figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder
from xattn.runs.tables.verdicts import (
    BEYOND,
    CHANGES,
    COMES_WITH,
    HARDLY,
    LEFT_OPEN,
    MOVES,
    NOT_TESTABLE,
    NOT_USED,
    UNCLEAR,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_MODELS = 16
"""Columns that fit a page."""

_ROW_MM, _CELL_MM, _NAMES_MM, _LETTER_MM = 4.4, 19.0, 52.0, 1.5
_UNITS = {"effect_bits": "effect, bits", "rank_effect": "rank effect, without sign"}
_MARKS: dict[str, tuple[str, bool]] = {
    CHANGES: ("^", True),
    MOVES: ("^", True),
    HARDLY: ("^", False),
    BEYOND: ("s", True),
    LEFT_OPEN: ("s", False),
    COMES_WITH: ("D", False),
    UNCLEAR: ("D", True),
    NOT_USED: ("_", True),
    NOT_TESTABLE: ("x", True),
}
"""Mark of each verdict, and whether it is filled."""

# White to nearly black blue: the lightness falls all the way, so grey prints keep the order; the
# darkest tenth is left out, on which no letter can be read.
_COLOURS = LinearSegmentedColormap.from_list("usage", colormaps["GnBu"](np.linspace(0, 0.95, 256)))


@figure(
    "usage-heatmap",
    meaning=(
        "Dependence of each model's prediction on each feature given the label: the colour and the "
        "number are the effect size, bold with a star where the adjusted p-value is below alpha, "
        "of several tests of a feature the one with the least p-value; hatched was not tested; "
        "marks on the right of a cell are the verdicts of tests and interventions together."
    ),
    tables=("feature_usage",),
    many=True,
)
def draw_usage_heatmap(runs: Sequence[RunFolder]) -> Figure:
    """Draw a row per feature, gathered by kind, and a column per model.

    Raises:
        RunError: there are more models than a page holds.
        UsageError: one run is named twice.
    """
    if len(runs) > MOST_MODELS:
        raise RunError(f"Expected at most {MOST_MODELS} runs in a heat map, but got {len(runs)}")
    names = run_names(list(runs))
    cells = pd.concat(
        [
            strongest_tests(run.table("feature_usage")).assign(model=name)
            for run, name in zip(runs, names, strict=True)
        ]
    )
    effect = next((c for c in _UNITS if cells[c].notna().any()), "effect_bits")
    cells["size"] = cells[effect] if effect == "effect_bits" else cells[effect].abs()
    row_mm = row_height(cells, _ROW_MM, 80)
    rows = rows_by_kind(cells, "size", row_mm)
    cells = rows.kept(cells)
    verdicts = {name: _verdicts(run) for run, name in zip(runs, names, strict=True)}
    alphas = {name: RunSources(run).alpha for run, name in zip(runs, names, strict=True)}
    width = min(style.page_mm(), _NAMES_MM + _CELL_MM * len(runs) + 14)
    cell_mm = (width - _NAMES_MM - 14) / len(runs)
    letters = int(cell_mm / _LETTER_MM)
    upright = any(len(name) > letters for name in names)
    head = 4.0 + (1.35 * min(22, max(map(len, names))) if upright else 3)
    size = style.inches(max(width, style.column_mm()), 30 + head + row_mm * rows.height)
    fig = Figure(figsize=size, layout="constrained")
    ax = fig.add_subplot()
    label_rows(ax, rows, {})
    for patch in list(ax.patches):
        patch.remove()  # cells carry the eye along the row, and their ground must be white
    scale = Normalize(0, max(1e-3, float(cells["size"].max())))
    for column, name in enumerate(names):
        own = cells[cells["model"] == name]
        _draw_column(ax, own, column, rows, scale, alphas[name])
        _draw_verdicts(ax, verdicts[name], column, rows)
    ax.set_xlim(0, len(names))
    ax.set_xticks(np.arange(len(names)) + 0.5, [shortened(n, 22) for n in names],
                  rotation=90 if upright else 0)  # fmt: skip
    ax.tick_params(axis="x", top=False, labeltop=True, bottom=False, labelbottom=False, length=0)
    ax.spines[:].set_visible(False)
    _foot(fig, ax, scale, effect, verdicts, set(alphas.values()))
    if rows.left_out:
        fig.suptitle(f"The {MOST_FEATURES} most significant features; {rows.left_out} more in the "
                     "tables", fontsize=style.pt(7))  # fmt: skip
    return fig


def _verdicts(run: RunFolder) -> dict[str, str]:
    if not run.has_table("verdicts"):
        return {}
    table = run.table("verdicts")
    return dict(zip(table["feature"], table["verdict"], strict=True))


def _draw_column(
    ax: Axes, cells: pd.DataFrame, column: int, rows: Rows, scale: Normalize, alpha: float
) -> None:
    """Draw a model's cells; where it has none, or a test gave no number, the cell is hatched."""
    found = cells.set_index("feature")
    for feature, y in rows.place.items():
        value = float(found["size"].get(feature, np.nan))
        place = (column + 0.02, y - 0.46)
        if not np.isfinite(value):
            ax.add_patch(Rectangle(place, 0.96, 0.92, facecolor=style.paper(), linewidth=0,
                                   edgecolor=style.faint(), hatch="////"))  # fmt: skip
            continue
        colour = _COLOURS(scale(max(0.0, value)))
        ax.add_patch(Rectangle(place, 0.96, 0.92, facecolor=colour, linewidth=0))
        certain = float(found["p_adjusted"][feature]) < alpha
        light = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.55
        ax.text(
            column + 0.5, y, _text(value) + ("*" if certain else ""), ha="center", va="center",
            fontsize=style.pt(6.5), fontweight="bold" if certain else "normal",
            color="#ffffff" if light else "#1b1b1b",
        )  # fmt: skip


def _text(value: float) -> str:
    """Write an effect in three decimals; a zero has no sign."""
    text = f"{abs(value):.3f}"
    return MINUS + text if value < 0 and float(text) else text


def _draw_verdicts(ax: Axes, verdicts: dict[str, str], column: int, rows: Rows) -> None:
    """Mark the verdict of each feature in the right third of its cell, on a white disc."""
    for verdict, (marker, filled) in _MARKS.items():
        y = [place for feature, place in rows.place.items() if verdicts.get(feature) == verdict]
        x = np.full(len(y), column + 0.87)
        ax.scatter(x, y, s=34, marker="o", color="#ffffff", linewidth=0, zorder=3)
        face = "#1b1b1b" if filled else "#ffffff"
        edge = None if marker in "_x" else "#1b1b1b"  # strokes have no edge of their own
        ax.scatter(x, y, s=11, marker=marker, linewidth=0.8, zorder=4, facecolor=face,
                   edgecolor=edge)  # fmt: skip


def _foot(
    fig: Figure,
    ax: Axes,
    scale: Normalize,
    effect: str,
    verdicts: dict[str, dict[str, str]],
    alphas: set[float],
) -> None:
    """Put the scale of the colours and the legend below."""
    bar = fig.colorbar(
        ScalarMappable(scale, _COLOURS), ax=ax, location="bottom", aspect=30, pad=0.01, shrink=0.9
    )
    bar.set_label(f"{_UNITS[effect]} (0 = not used)")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    level = " or ".join(f"{a:g}" for a in sorted(alphas))
    handles = [
        Line2D([], [], linestyle="none", marker="", label=f"bold with *: adjusted p < {level}"),
    ]
    given = {verdict for model in verdicts.values() for verdict in model.values()}
    handles += [
        Line2D([], [], linestyle="none", marker=marker, markersize=4, color=style.ink(),
               markerfacecolor=style.ink() if filled else style.paper(), label=verdict)
        for verdict, (marker, filled) in _MARKS.items() if verdict in given
    ]  # fmt: skip
    legend(fig, handles, most=2)
