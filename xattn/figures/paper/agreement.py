"""Whether two methods show the same, such as Grad-CAM and attention: agreement beside chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from xattn.errors import RunError
from xattn.figures import style
from xattn.figures.drawing.forest import (
    chance_ticks,
    intervals,
    key,
    key_of_tick,
    keys_of_significance,
    significant,
)
from xattn.figures.drawing.panels import legend, letter, zero_line
from xattn.figures.folders import run_names
from xattn.figures.numbers import shortened
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 40
"""Pairs that fit a page."""

_ROW_MM, _HEADING_MM = 5.0, 6.0
_TOP_OF_CHANCE = 10.0  # per cent: what two maps without any habit have in common of their top tenth


@figure(
    "agreement",
    meaning=(
        "How far two methods' maps of one image agree, as a mean over images with its 95 % "
        "bootstrap interval: rank correlation over pixels, and the fraction of the top tenth of "
        "pixels in common; the ticks are the same maps paired with the other method's maps of "
        "other images of the same label."
    ),
    tables=("agreement",),
    many=True,
)
def draw_agreement(runs: Sequence[RunFolder]) -> Figure:
    """Draw a row per pair of methods, gathered by model.

    Raises:
        RunError: no pair has numbers, or there are more than fit a page.
        UsageError: one run is named twice.
    """
    tables = [run.table("agreement").dropna(subset="rank_correlation") for run in runs]
    pairs = sum(map(len, tables))
    if not pairs:
        raise NothingToDrawError(
            f"Expected pairs of methods in {runs[0].path}/agreement.csv, but got none with numbers"
        )
    if pairs > MOST_ROWS:
        raise RunError(f"Expected at most {MOST_ROWS} pairs of methods to draw, but got {pairs}")
    names = run_names(list(runs))
    height = _ROW_MM * pairs + _HEADING_MM * len(runs)
    fig = Figure(figsize=style.inches(style.text_mm(), 32 + height), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True)
    top = 0.0
    ticks: dict[float, str] = {}
    for run, name, table in zip(runs, names, tables, strict=True):
        ticks[top + _HEADING_MM / 2] = name
        y = top + _HEADING_MM + _ROW_MM * (pd.Series(range(len(table)), dtype=float) + 0.5)
        ticks |= dict(zip(y, map(_pair, table.to_dict("records")), strict=True))
        _draw(left, table, "rank_correlation", 1, y, RunSources(run).alpha)
        _draw(right, table, "overlap", 100, y, RunSources(run).alpha)
        top += _HEADING_MM + _ROW_MM * len(table)
    _name_rows(left, ticks, names, top)
    zero_line(left)
    right.axvline(_TOP_OF_CHANCE, color=style.ink(), linewidth=0.8, zorder=1)
    left.set_title("Ranks of all pixels")
    left.set_xlabel("rank correlation (−1 to 1)")
    right.set_title("Top tenth of pixels")
    right.set_xlabel("in common, % (10: unrelated)")
    right.tick_params(axis="y", length=0)
    for ax in (left, right):
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.margins(x=0.06)
    right.set_xlim(left=0)
    letter([left, right])
    fig.suptitle("Pair of methods (number of images)", fontsize=style.pt(7), x=0.01, ha="left")
    handles = [key(style.OKABE_ITO["blue"], "o", "mean, 95 % interval")]
    handles.append(key_of_tick("chance: maps of other images"))
    handles += keys_of_significance(RunSources(runs[0]).alpha, "against chance")
    legend(fig, handles, most=2)
    return fig


def _pair(row: dict[Hashable, Any]) -> str:
    names = (shortened(str(row[c]), 20) for c in ("method_a", "method_b"))
    return f"{' / '.join(names)}  ({row['n']:,})"


def _draw(
    ax: Axes, table: pd.DataFrame, column: str, scale: float, y: pd.Series[float], alpha: float
) -> None:
    """Draw means with intervals and chance; a significant rank correlation fills both markers."""
    value, low, high = (scale * table[c] for c in (column, f"{column}_low", f"{column}_high"))
    colour = style.OKABE_ITO["blue"]
    intervals(ax, value, low, high, y, colour, "o", significant(table, alpha), table.index)
    chance_ticks(ax, table[f"chance_{column}"], y, scale)


def _name_rows(ax: Axes, ticks: dict[float, str], headings: Sequence[str], height: float) -> None:
    places = sorted(ticks)
    ax.set_yticks(places, [ticks[y] for y in places])
    for y, text in zip(places, ax.get_yticklabels(), strict=True):
        if ticks[y] in headings:
            text.set_fontweight("bold")
    ax.set_ylim(height, 0)
    ax.tick_params(axis="y", length=0)
