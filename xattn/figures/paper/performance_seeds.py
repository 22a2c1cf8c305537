"""Every trained network of a comparison, ID and OOD, and each model against the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xattn.analysis.evaluation.metrics import by_guessing
from xattn.figures import style
from xattn.figures.drawing.forest import intervals, key, keys_of_significance, spread_out
from xattn.figures.drawing.panels import legend, letter
from xattn.figures.numbers import p_value, readable
from xattn.figures.registry import figure
from xattn.runs import ComparisonFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_MM, _MOST_MM = 9.0, 236.0
_NAMES = {"auc": "AUC", "ece": "calibration error", "ece_adaptive": "calibration error (adaptive)"}
SPLIT_NAMES = {"test": "ID (test)", "ood": "OOD", "val": "validation", "all": "all images"}


@figure(
    "performance-seeds",
    meaning=(
        "The metric of every trained network (one small mark a seed) with each model's mean, on "
        "test images of the same and of other origin, and the difference of the means to the model "
        "compared with, with its 95 % interval over seeds and the adjusted p-value of Welch's test."
    ),
    tables=("comparison_runs", "comparison"),
    of=ComparisonFolder,
)
def draw_performance_seeds(folder: ComparisonFolder) -> Figure:
    """Draw one row of panels per metric: seeds on the left, differences on the right."""
    runs, pairs = folder.table("comparison_runs"), folder.table("comparison")
    metrics = list(folder.settings["metrics"])
    alpha = float(folder.settings["alpha"])
    models = list(folder.settings["models"])
    pairs = pairs[pairs["test"] == "welch"]
    baseline = folder.settings["baseline"]
    rows = len(models) if baseline else len(pairs[["a", "b"]].drop_duplicates())
    height = min(_MOST_MM, 22 + len(metrics) * (14 + _ROW_MM * max(rows, len(models))))
    fig = Figure(figsize=style.inches(style.page_mm(), height), layout="constrained")
    panels = fig.subplots(len(metrics), 2, squeeze=False, width_ratios=(1, 1.15))
    splits = list(dict.fromkeys(runs["split"]))
    classes = folder.settings.get("classes")  # older comparisons do not say
    chance = by_guessing(len(classes)) if classes else {}
    for (left, right), metric in zip(panels, metrics, strict=True):
        _draw_seeds(left, runs[runs["metric"] == metric], models, splits)
        if metric in chance:
            left.axvline(chance[metric], color=style.ink(), linewidth=0.8, linestyle=":")
        left.set_title(metric_name(metric))
        own = pairs[pairs["metric"] == metric]
        _draw_differences(right, own, splits, alpha, models if baseline else None)
        right.set_title(f"Difference to {baseline}" if baseline else "Difference of each pair")
    letter(panels.flat)
    look = dict(zip(splits, style.series_colours(len(splits)), strict=True))
    handles = [key(look[s], style.MARKERS[i], SPLIT_NAMES.get(s, s)) for i, s in enumerate(splits)]
    handles.append(_seed_key())
    if any(metric in chance for metric in metrics):
        handles.append(Line2D([], [], color=style.ink(), linewidth=0.8, linestyle=":",
                              label="chance"))  # fmt: skip
    handles += keys_of_significance(alpha, "(Welch)")
    legend(fig, handles, most=3)
    return fig


def metric_name(metric: str) -> str:
    """Return a metric's name for readers."""
    return _NAMES.get(metric, readable(metric))


def _seed_key() -> Line2D:
    return Line2D(
        [], [], color=style.ink(), marker="|", markersize=6, linestyle="none", label="one seed"
    )


def _draw_seeds(ax: Axes, table: pd.DataFrame, models: list[str], splits: list[str]) -> None:
    """Draw each seed as a tick and the mean as a marker, splits of a model below each other."""
    offsets = spread_out(len(splits), room=0.44)
    colours = style.series_colours(len(splits))
    for i, split in enumerate(splits):
        own = table[table["split"] == split].groupby("model")["value"]
        for row, model in enumerate(models):
            values = own.get_group(model).to_numpy(float)
            y = row + offsets[i]
            ax.plot(values, np.full(len(values), y), "|", color=colours[i], markersize=6, alpha=0.8)
            ax.plot(values.mean(), y, style.MARKERS[i], color=colours[i], markersize=4.2)
    _rows(ax, models)
    ax.set_xlabel("mean and seeds")


def _draw_differences(
    ax: Axes, table: pd.DataFrame, splits: list[str], alpha: float, models: list[str] | None
) -> None:
    """Draw a - b with its interval; the p-value stands at the right edge.

    Rows are those of `models`, in register with the panel on the left, or else the pairs.
    """
    pairs = list(dict.fromkeys(zip(table["a"], table["b"], strict=True)))
    offsets = spread_out(len(splits), room=0.44)
    colours = style.series_colours(len(splits))
    place = {pair: models.index(pair[0]) if models else i for i, pair in enumerate(pairs)}
    for i, split in enumerate(splits):
        own = table[table["split"] == split]
        y = np.array([place[pair] for pair in zip(own["a"], own["b"], strict=True)]) + offsets[i]
        filled = own["p_adjusted"].to_numpy(float) < alpha
        intervals(
            ax, own["difference"], own["low"], own["high"], y, colours[i], style.MARKERS[i], filled
        )
        for at, p in zip(y, own["p_adjusted"], strict=True):
            ax.annotate(
                f"p {p_value(p)}" if p == p else "too few seeds",
                (1, at), xycoords=("axes fraction", "data"), xytext=(3, 0),
                textcoords="offset points", va="center", fontsize=style.pt(6), color=colours[i],
                annotation_clip=False,
            )  # fmt: skip
    ax.axvline(0, color=style.ink(), linewidth=0.8, zorder=1)
    _rows(ax, models or [f"{a}\n− {b}" for a, b in pairs])
    if models:
        ax.set_yticklabels([])
    ax.set_xlabel("difference, 95 % interval over seeds")


def _rows(ax: Axes, names: list[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x")
    for row in range(0, len(names), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=style.faint(), alpha=0.35, linewidth=0, zorder=0)
