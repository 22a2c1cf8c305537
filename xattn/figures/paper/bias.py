"""Whether the model does worse, or decides otherwise, on images with an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from xattn.figures import style
from xattn.figures.drawing.forest import (
    Rows,
    intervals_by_kind,
    keys_of_kinds,
    keys_of_significance,
    row_height,
    rows_by_kind,
)
from xattn.figures.drawing.panels import legend, letter, panels_over_rows, say_above, zero_line
from xattn.figures.paper.bias_of_classes import draw_classes, of_classes
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder
from xattn.runs.tables.names import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METRICS = ("balanced_accuracy", "tpr", "fpr", "auc")
"""Those that get panels, in this order."""

_SHORT = {**METRICS, "balanced_accuracy": "balanced acc.", "tpr": "sensitivity",
          "fpr": "false positives"}  # fmt: skip
"""Titles that fit a panel."""

_SHORTEST = {"balanced_accuracy": "bal. acc.", "tpr": "TPR", "fpr": "FPR"}
"""Titles that fit a panel of a narrow page."""

_WIDE_MM = 150.0
_PANELS_A_ROW = 4
_ROW_MM = 4.6


@figure(
    "bias",
    meaning=(
        "Difference of each metric between images with and without an artifact, or of one group "
        "and all others, in percentage points with 95 % intervals; 0 is no difference; of more "
        "than two classes each one's rates are squares, blank where too few images allow none."
    ),
    tables=("bias",),
)
def draw_bias(run: RunFolder) -> Figure:
    """Draw the gap of each artifact or group, one panel a metric.

    Raises:
        NothingToDrawError: no artifact or group has enough images.
    """
    sources = RunSources(run)
    every = run.table("bias")
    table = every[every.groupby("feature")["gap"].transform("count") > 0]
    if table.empty:
        raise NothingToDrawError(
            f"Expected artifacts or groups of enough images in {run.path}/bias.csv, but got none"
        )
    if "kind" not in table:
        table = table.assign(kind=table["feature"].map(sources.kinds).fillna(""))
    measured = set(table.loc[table["gap"].notna(), "metric"])
    metrics = [m for m in _METRICS if m in measured]
    metrics += sorted(measured - set(metrics))
    many = of_classes(metrics)
    across = min(len(metrics), _PANELS_A_ROW)
    whole = many or len(metrics) <= across
    row_mm = row_height(table, _ROW_MM, 48 if many else 42) if whole else _ROW_MM
    rows = rows_by_kind(table, "gap", row_mm)
    table = rows.kept(table)
    sizes = table.drop_duplicates("feature").set_index("feature")
    notes = {
        str(f): f"  ({int(row['n_present']):,} / {int(row['n_absent']):,})"
        for f, row in sizes.iterrows()
    }
    more: list[str] = []
    if many:
        known = table[table["gap"].notna()]
        fig, more = draw_classes(known, rows, row_mm, notes, sources.alpha, run.classes)
    else:
        fig = _draw_metrics(table, rows, row_mm, notes, metrics, across, sources.alpha)
    handles = keys_of_kinds(table, ", 95 % interval")
    handles += keys_of_significance(sources.alpha, "")
    if many:
        handles.append(Line2D([], [], linestyle="none", label=f"*: adjusted p < {sources.alpha:g}"))
    legend(fig, handles, most=3)
    words = "Images with the artifact or of the group − all others (numbers of both)"
    without = every["feature"].nunique() - table["feature"].nunique() - rows.left_out
    if without:
        words += f"; {without} with too few images"
    say_above(fig, "; ".join([words, *more]), rows)
    return fig


def _draw_metrics(
    table: pd.DataFrame,
    rows: Rows,
    row_mm: float,
    notes: dict[str, str],
    metrics: list[str],
    across: int,
    alpha: float,
) -> Figure:
    """Draw one panel a metric."""
    fig, panels = panels_over_rows(rows, row_mm, notes, len(metrics), across)
    # One scale, with zero in the middle: the side of a gap is seen before its size is read.
    gaps = 100 * table[["gap", "gap_low", "gap_high"]].to_numpy(float)
    reach = 1.08 * np.nanmax(np.abs(np.append(gaps, 1.0)))
    titles = _SHORT if style.page_mm() >= _WIDE_MM else _SHORT | _SHORTEST
    columns = ("gap", "gap_low", "gap_high")
    for ax, metric in zip(panels, metrics, strict=True):
        part = table[table["metric"] == metric]
        intervals_by_kind(ax, part, columns, rows, alpha, scale=100)
        zero_line(ax)
        ax.set_xlim(-reach, reach)
        ax.set_title(titles.get(metric, metric))
        ax.set_xlabel("× 100" if metric == "auc" else "% points")
    letter(panels)
    return fig
