"""Rows of points with intervals, gathered by kind of feature: what many figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from xattn.figures import style
from xattn.figures.drawing.interactive import BESIDE, SPAN, mark
from xattn.figures.numbers import readable, shortened
from xattn.figures.run_sources import by_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FEATURES = 60
"""More rows than this fit no page; the figure then shows the most significant ones and says so."""

_HEADING_MM, _GAP_MM = 5.0, 2.0
_TALLEST_MM = 236.0

_PLURAL = {
    "structure": "Structures",
    "artifact": "Artifacts",
    "metadata": "Metadata",
    "computed": "Computed features",
    "control": "Controls",
    "": "Other features",
}


def heading(kind: str) -> str:
    """Return the heading over the rows of one kind."""
    return _PLURAL.get(kind, readable(kind).capitalize())


@dataclass(frozen=True)
class Rows:
    """Where each feature stands on the vertical axis; 0 is the top, one unit is one feature.

    Attributes:
        place: feature -> position.
        headings: position -> heading of the kind that begins there.
        height: units in all.
        left_out: features that found no place.
    """

    place: dict[str, float]
    headings: dict[float, str]
    height: float
    left_out: int

    def kept(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table whose feature found a place."""
        return table[table["feature"].isin(list(self.place))]

    def of(self, features: pd.Series[Any]) -> NDArray[np.float64]:
        """Return the positions of a column of features, NaN for those without one."""
        return np.asarray(features.map(self.place), float)


def row_height(table: pd.DataFrame, wanted: float, frame: float, times: int = 1) -> float:
    """Return the height of a feature's row in mm: `wanted`, or less for all to fit a page.

    Args:
        table: tidy, with columns feature and kind.
        wanted: mm.
        frame: mm of the page that are not rows: titles, axes, legend.
        times: how often all rows stand below each other.
    """
    rows = min(table["feature"].nunique(), MOST_FEATURES)
    kinds = table["kind"].nunique(dropna=False)
    room = (_TALLEST_MM - frame) / times - kinds * (_HEADING_MM + _GAP_MM)
    return min(wanted, room / max(1, rows))


def rows_by_kind(table: pd.DataFrame, order_by: str, row_mm: float) -> Rows:
    """Give each feature of a table its row: kinds together, the largest `order_by` on top.

    Args:
        table: tidy, with columns feature, kind, p_adjusted and `order_by`.
        order_by: a column; a feature is judged by its mean over the table's rows.
        row_mm: height of a feature's row; headings keep theirs.
    """
    grouped = table.groupby("feature", sort=True)
    chosen = grouped["p_adjusted"].min().sort_values(kind="stable").index[:MOST_FEATURES]
    means = grouped[order_by].mean().loc[chosen].sort_values(ascending=False, kind="stable")
    kinds = dict(zip(table["feature"], table["kind"], strict=True))
    parts = [(heading(kind), features) for kind, features in by_kind(list(means.index), kinds)]
    return stacked(parts, row_mm, grouped.ngroups - len(means))


def stacked(parts: Sequence[tuple[str, Sequence[str]]], row_mm: float, left_out: int = 0) -> Rows:
    """Place features below each other in the order given, part by part.

    Args:
        parts: the heading of each part, "" for none, and its features.
        row_mm: height of a feature's row; headings keep theirs.
        left_out: features that are in no part.
    """
    place: dict[str, float] = {}
    headings: dict[float, str] = {}
    top = 0.0
    for words, features in parts:
        if words:
            headings[top + _HEADING_MM / 2 / row_mm] = words
            top += _HEADING_MM / row_mm
        place |= {feature: top + i + 0.5 for i, feature in enumerate(features)}
        top += len(features) + _GAP_MM / row_mm
    return Rows(place, headings, top, left_out)


def label_rows(ax: Axes, rows: Rows, notes: Mapping[str, str]) -> None:
    """Write features and headings of kinds on the vertical axis, top first.

    Args:
        notes: feature -> what stands behind its name, such as how many images have it.
    """
    names = {y: shortened(readable(f), 26) + notes.get(f, "") for f, y in rows.place.items()}
    positions = sorted({**names, **rows.headings})
    ax.set_yticks(positions, [names.get(y, rows.headings.get(y, "")) for y in positions])
    for y, text in zip(positions, ax.get_yticklabels(), strict=True):
        if y in rows.headings:
            text.set_fontweight("bold")
    ax.set_ylim(rows.height, 0)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    shade_rows(ax, rows)


def shade_rows(ax: Axes, rows: Rows) -> None:
    """Shade every other row, so that the eye finds the way from a name to its points."""
    for i, y in enumerate(rows.place.values()):
        if i % 2 == 0:
            ax.axhspan(y - 0.5, y + 0.5, color=style.faint(), alpha=0.35, linewidth=0, zorder=0)


def intervals(
    ax: Axes,
    x: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    y: ArrayLike,
    colour: str,
    marker: str,
    filled: ArrayLike,
    rows: ArrayLike | None = None,
) -> None:
    """Draw points with horizontal intervals; filled where significant, open elsewhere.

    All arrays have one value per point; points whose x or y is NaN are left out, intervals too
    where an end is NaN. `rows` are places in the table's file, see `interactive.mark`.
    """
    x, low, high, y = (np.asarray(v, float) for v in (x, low, high, y))
    filled = np.asarray(filled, bool)
    spanned = np.isfinite(low) & np.isfinite(high) & np.isfinite(y)
    known = np.asarray([] if rows is None else rows, int)
    lines = ax.hlines(y[spanned], low[spanned], high[spanned], color=colour, linewidth=1.1,
                      zorder=2)  # fmt: skip
    if known.size:
        mark(lines, known[spanned], SPAN)
    shown = np.isfinite(x) & np.isfinite(y)
    for which, face in ((shown & filled, colour), (shown & ~filled, style.paper())):
        if which.any():
            dots = ax.scatter(x[which], y[which], s=17, marker=marker, facecolor=face,
                              edgecolor=colour, linewidth=0.9, zorder=3)  # fmt: skip
            if known.size:
                mark(dots, known[which])


def intervals_by_kind(
    ax: Axes,
    table: pd.DataFrame,
    columns: tuple[str, str, str],
    rows: Rows,
    alpha: float,
    scale: float = 1,
) -> None:
    """Draw a row's value with its interval in the colour of its kind, filled where significant.

    Args:
        table: tidy, with columns feature, kind and p_adjusted.
        columns: value, low and high end.
        rows: where the features stand.
        alpha: level of significance.
        scale: what the columns are multiplied by.
    """
    for kind, own in table.groupby("kind", sort=True, dropna=False):
        value, low, high = (scale * own[column] for column in columns)
        y, filled = rows.of(own["feature"]), significant(own, alpha)
        intervals(ax, value, low, high, y, kind_colour(kind), "o", filled, own.index)


def kind_colour(kind: object) -> str:
    """Return the colour of a kind of feature, ink for one that is not known."""
    return style.KIND_COLOURS.get(str(kind), style.ink())


def keys_of_kinds(table: pd.DataFrame, words: str = "") -> list[Line2D]:
    """Return a legend entry for each kind of feature in a table, `words` behind its name."""
    kinds = dict(zip(table["feature"], table["kind"], strict=True))
    return [
        key(kind_colour(kind), "o", heading(kind).lower() + words)
        for kind, _ in by_kind(list(kinds), kinds)
    ]


def chance_ticks(ax: Axes, x: pd.Series[float], y: ArrayLike, scale: float = 1) -> None:
    """Draw the level of chance of each row of a table as an upright tick; NaN are left out.

    Args:
        x: a column of the table; its index are the places in the table's file.
        y: position of each row.
        scale: what x is multiplied by.
    """
    known = np.asarray(x.notna())
    ticks = ax.scatter(scale * x[known], np.asarray(y, float)[known], marker="|", s=34,
                       color=style.ink(), linewidth=0.9, zorder=2.5)  # fmt: skip
    mark(ticks, x.index[known], BESIDE)


def key_of_tick(label: str) -> Line2D:
    """Return a legend entry that looks like one of `chance_ticks`."""
    return Line2D([], [], color=style.ink(), marker="|", markersize=7, linestyle="none",
                  label=label)  # fmt: skip


def key(colour: str, marker: str, label: str, filled: bool = True) -> Line2D:
    """Return a legend entry that looks like the points of `intervals`."""
    return Line2D(
        [], [], color=colour, marker=marker, markersize=4, linewidth=1.1, label=label,
        markerfacecolor=colour if filled else style.paper(), markeredgewidth=0.9,
    )  # fmt: skip


def keys_of_significance(alpha: float, against: str) -> list[Line2D]:
    """Return the two legend entries that tell filled markers from open ones."""
    ink = style.ink()
    return [
        _dot(ink, True, f"filled: adjusted p < {alpha:g} {against}".rstrip()),
        _dot(ink, False, "open: not significant"),
    ]


def _dot(colour: str, filled: bool, label: str) -> Line2D:
    return Line2D(
        [], [], color=colour, marker="o", markersize=4, linestyle="none", label=label,
        markerfacecolor=colour if filled else style.paper(), markeredgewidth=0.9,
    )  # fmt: skip


def significant(table: pd.DataFrame, alpha: float) -> NDArray[np.bool_]:
    """Say which rows have an adjusted p-value below alpha; a missing one is not significant."""
    return np.asarray(table["p_adjusted"].to_numpy(float) < alpha)


def spread_out(n: int, room: float = 0.6) -> Sequence[float]:
    """Return n offsets around 0 within `room`, for the members of a series in one row."""
    return [0.0] if n == 1 else list(np.linspace(-room / 2, room / 2, n))
