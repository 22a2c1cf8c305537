"""Whether the model does worse, or decides otherwise, on images with an artifact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xattn.figures import style
from xattn.figures.evidence import Evidence
from xattn.figures.forest import (
    MOST_FEATURES,
    intervals,
    key,
    keys_of_significance,
    label_rows,
    row_height,
    rows_by_kind,
    shade_rows,
    significant,
)
from xattn.figures.panels import legend, letter
from xattn.figures.registry import figure
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "tpr": "sensitivity (TPR)",
    "fpr": "false-positive rate",
    "auc": "AUC",
}
"""Names of the metrics as readers know them."""

_SHORT = {**METRICS, "balanced_accuracy": "balanced acc.", "tpr": "sensitivity",
          "fpr": "false positives"}  # fmt: skip
"""Titles that fit a panel."""

_PANELS_A_ROW = 4
_ROW_MM = 4.6


@figure(
    "bias",
    "Difference of each metric between images with and without an artifact, or of a group of "
    "patients and all others, in percentage points with 95 % intervals; 0 is no difference.",
    tables=("bias",),
)
def draw_bias(run: RunFolder) -> Figure:
    """Draw the gap of each artifact or group, one panel a metric."""
    evidence = Evidence(run)
    table = run.table("bias")
    if "kind" not in table:
        table = table.assign(kind=table["feature"].map(evidence.kinds).fillna(""))
    metrics = [m for m in METRICS if m in set(table["metric"])]
    metrics += sorted(set(table["metric"]) - set(metrics))
    across = min(len(metrics), _PANELS_A_ROW)
    down = math.ceil(len(metrics) / across)
    row_mm = _ROW_MM if down > 1 else row_height(table, _ROW_MM, 42)
    rows = rows_by_kind(table, "gap", row_mm)
    table = rows.kept(table)
    height = 24 + down * (14 + row_mm * rows.height)
    fig = Figure(figsize=style.inches(style.page_mm(), height), layout="constrained")
    panels = fig.subplots(down, across, sharey=True, sharex=False, squeeze=False)
    sizes = table.drop_duplicates("feature").set_index("feature")
    notes = {
        str(f): f"  ({int(row['n_present']):,} / {int(row['n_absent']):,})"
        for f, row in sizes.iterrows()
    }
    label_rows(panels[0, 0], rows, notes)
    # One scale, with zero in the middle: the side of a gap is seen before its size is read.
    gaps = 100 * table[["gap", "gap_low", "gap_high"]].to_numpy(float)
    reach = 1.08 * np.nanmax(np.abs(np.append(gaps, 1.0)))
    for ax, metric in zip(panels.flat, metrics, strict=False):
        part = table[table["metric"] == metric]
        y = rows.of(part["feature"])
        if ax is not panels[0, 0]:
            shade_rows(ax, rows)
        _draw_gaps(ax, part, y, evidence.alpha)
        ax.set_xlim(-reach, reach)
        ax.set_title(_SHORT.get(metric, metric))
        unit = "× 100" if metric == "auc" else "percentage points"
        ax.set_xlabel(f"with − without,\n{unit}")
    letter(list(panels.flat)[: len(metrics)])
    for ax in list(panels.flat)[len(metrics) :]:
        ax.set_visible(False)
    handles = [key(style.OKABE_ITO["vermillion"], "o", "gap, 95 % interval")]
    handles += keys_of_significance(evidence.alpha, "")
    legend(fig, handles, most=3)
    note = "Artifact or group (images with / without it)"
    if rows.left_out:
        note += f"; the {MOST_FEATURES} most significant, {rows.left_out} more in the table"
    fig.suptitle(note, fontsize=style.pt(7), x=0.01, ha="left")
    return fig


def _draw_gaps(ax: Axes, part: pd.DataFrame, y: NDArray[np.float64], alpha: float) -> None:
    gap, low, high = (100 * part[c].to_numpy(float) for c in ("gap", "gap_low", "gap_high"))
    colour = style.OKABE_ITO["vermillion"]
    intervals(ax, gap, low, high, y, colour, "o", significant(part, alpha), part.index)
    ax.axvline(0, color=style.ink(), linewidth=0.8, zorder=1)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
