"""The gaps of many classes on one page: means as points, rates of each class as shaded squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.drawing.forest import Rows, intervals_by_kind, label_rows
from xattn.figures.drawing.interactive import mark
from xattn.figures.drawing.panels import letter, rows_of_a_neighbour, zero_line
from xattn.figures.numbers import MINUS, readable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATES = {"tpr": "Sensitivity", "fpr": "False positives"}
MEANS = {"balanced_accuracy": "Balanced acc.", "auc": "AUC"}

_TITLES = (
    MEANS | RATES,
    {"balanced_accuracy": "Bal. acc.", "auc": "AUC", "tpr": "TPR", "fpr": "FPR"},
    {"balanced_accuracy": "BA", "auc": "AUC", "tpr": "TPR", "fpr": "FPR"},
)
"""Titles, shorter ones after longer ones."""

_LETTER_MM = 1.75

MOST_CLASSES = 10
"""More columns than this are too narrow; the classes of least p-value are shown then."""

_INK_ON_CELL = "#1a1a1a"  # stays as it is on dark screens, as the cells do
_COLOURS = LinearSegmentedColormap.from_list("gap", ["#5aa2d6", "#fdfdfd", "#e8935a"])
_LEAST_FOR_NUMBERS_MM = 3.4
_NAMES_MM = 52.0  # features and what stands behind their names


def of_classes(metrics: Sequence[str]) -> bool:
    """Say whether metrics are rates of classes, such as tpr[nv]."""
    return any(metric.startswith("tpr[") for metric in metrics)


def draw_classes(
    table: pd.DataFrame,
    rows: Rows,
    row_mm: float,
    notes: Mapping[str, str],
    alpha: float,
    classes: Sequence[str],
) -> tuple[Figure, list[str]]:
    """Draw a row a feature: the gap of each mean with its interval, of each rate as a square.

    Args:
        table: rows of bias.csv with a gap, of features that have a place.
        rows: where the features stand.
        row_mm: height of a feature's row.
        notes: feature -> what stands behind its name.
        alpha: level of significance.
        classes: of the model, in the order of the columns.

    Returns:
        The figure, and what there was no room for, in words.
    """
    means = [m for m in MEANS if (table["metric"] == m).any()]
    parts = {rate: _columns(table, rate, classes) for rate in RATES}
    parts = {rate: columns for rate, columns in parts.items() if columns}
    shown = {rate: columns[:MOST_CLASSES] for rate, columns in parts.items()}
    ratios = [5] * len(means) + [max(2, len(columns)) for columns in shown.values()]
    fig = Figure(figsize=style.inches(style.page_mm(), 40 + row_mm * rows.height),
                 layout="constrained")  # fmt: skip
    axes = fig.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0]
    label_rows(axes[0], rows, notes)
    for ax in axes[1:]:
        rows_of_a_neighbour(ax, rows)
    room = (style.page_mm() - _NAMES_MM) / sum(ratios)
    titles = _fitting(dict(zip([*means, *shown], ratios, strict=True)), room)
    reach = _reach(table[table["metric"].isin(means)])
    for ax, metric in zip(axes, means, strict=False):
        part = table[table["metric"] == metric]
        intervals_by_kind(ax, part, ("gap", "gap_low", "gap_high"), rows, alpha, scale=100)
        zero_line(ax)
        ax.grid(axis="x")
        ax.set_xlim(-reach, reach)
        ax.set_title(titles[metric])
        ax.set_xlabel("× 100" if metric == "auc" else "% points")
    rates = table[table["metric"].str.contains("[", regex=False)]
    scale = Normalize(-_reach(rates, interval=False), _reach(rates, interval=False))
    side = min(0.9 * row_mm, 0.95 * room)
    for ax, (rate, columns) in zip(axes[len(means) :], shown.items(), strict=True):
        _draw_squares(ax, table, rate, columns, rows, scale, side, alpha)
        ax.set_title(titles[rate])
        ax.set_xlabel("% points")
    letter(axes)
    left = {name for rate, columns in parts.items() for name in columns[len(shown[rate]) :]}
    return fig, [f"{len(left)} more classes in the table"] if left else []


def _fitting(widths: Mapping[str, int], room: float) -> dict[str, str]:
    """Return the longest titles that fit panels so many columns of `room` mm wide."""
    for titles in _TITLES:
        if all(_LETTER_MM * (3 + len(titles[p])) <= room * n for p, n in widths.items()):
            return titles
    return _TITLES[-1]


def _columns(table: pd.DataFrame, rate: str, classes: Sequence[str]) -> list[str]:
    """Name the classes that have a rate with a number: in their order if all fit, else by p."""
    own = table[table["metric"].str.startswith(f"{rate}[")]
    found = dict.fromkeys(own["metric"].str[len(rate) + 1 : -1])
    names = [*(c for c in classes if c in found), *(c for c in found if c not in classes)]
    if len(names) > MOST_CLASSES:
        least = own.groupby("metric", sort=False)["p_adjusted"].min()
        names.sort(key=lambda name: least[f"{rate}[{name}]"])
    return names


def _reach(table: pd.DataFrame, interval: bool = True) -> float:
    """Return how far an axis must go on either side of zero, in percentage points."""
    columns = ["gap", "gap_low", "gap_high"] if interval else ["gap"]
    values = 100 * np.abs(table[columns].to_numpy(float))
    return 1.08 * float(np.nanmax(np.append(values, 1.0)))


def _draw_squares(
    ax: Axes,
    table: pd.DataFrame,
    rate: str,
    columns: Sequence[str],
    rows: Rows,
    scale: Normalize,
    side: float,
    alpha: float,
) -> None:
    """Draw the gaps of one rate, a column a class; bold with a star where significant."""
    for patch in list(ax.patches):
        patch.remove()  # a shaded ground would change the colours of the squares
    ax.grid(visible=False)
    place = {f"{rate}[{name}]": x for x, name in enumerate(columns)}
    own = table[table["metric"].isin(list(place))]
    x, y = own["metric"].map(place).to_numpy(float), rows.of(own["feature"])
    gaps = 100 * own["gap"].to_numpy(float)
    points = side * 72 / 25.4
    squares = ax.scatter(x, y, s=points**2, marker="s", c=_COLOURS(scale(gaps)), linewidth=0,
                         zorder=2)  # fmt: skip
    mark(squares, own.index)
    found = own["p_adjusted"].to_numpy(float) < alpha
    for a, b, gap, sure in zip(x.tolist(), y.tolist(), gaps.tolist(), found, strict=True):
        number = f"{abs(gap):.0f}" if side >= _LEAST_FOR_NUMBERS_MM else ""
        sign = MINUS if number not in ("", "0") and gap < 0 else ""
        ax.text(
            a, b, f"{sign}{number}{'*' if sure else ''}", ha="center", va="center",
            fontsize=style.pt(5), fontweight="bold" if sure else "normal", color=_INK_ON_CELL,
        )  # fmt: skip
    ax.set_xlim(-0.6, len(columns) - 0.4)
    names = [shortened(readable(name), 14) for name in columns]
    ax.set_xticks(range(len(columns)), names, rotation=90)
    ax.tick_params(axis="x", length=0)
