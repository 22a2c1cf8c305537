"""Mean ranks of the models of a comparison, and which cannot be told apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.drawing.panels import letter
from xattn.figures.numbers import p_value, shortened
from xattn.figures.paper.performance_seeds import SPLIT_NAMES, metric_name
from xattn.figures.registry import figure
from xattn.runs import ComparisonFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_MM, _TITLE_MM, _LETTER_MM = 4.6, 16.0, 1.45


@figure(
    "critical-difference",
    meaning=(
        "Mean rank of each model over the seeds that all share (1 is best), with models joined "
        "whose ranks are less than Nemenyi's critical difference apart."
    ),
    tables=("ranks",),
    of=ComparisonFolder,
)
def draw_critical_difference(folder: ComparisonFolder) -> Figure:
    """Draw a critical-difference diagram (Demsar 2006) per split and metric."""
    table = folder.table("ranks")
    parts = list(table.groupby(["split", "metric"], sort=False))
    models = sorted(set(table["model"]))
    panel = 12 + _LABEL_MM * math.ceil(len(models) / 2)
    height = len(parts) * (panel + _TITLE_MM)
    margin = 4 + _LETTER_MM * max(len(_label(model, 1)) for model in models)
    fig = Figure(figsize=style.inches(style.page_mm(), height))
    panels = fig.subplots(len(parts), 1, squeeze=False)[:, 0]
    with rc_context({"axes.titlepad": 16}):  # the axis of ranks is above its panel
        for ax, ((split, metric), part) in zip(panels, parts, strict=True):
            first = part.iloc[0]
            _draw(ax, part.set_index("model")["rank"], float(first["critical_difference"]))
            ax.set_title(
                f"{SPLIT_NAMES.get(str(split), split)}, {metric_name(str(metric))}: "
                f"{int(first['blocks'])} seeds, Friedman p {p_value(float(first['p_value']))}, "
                f"critical difference {first['critical_difference']:.1f}",
                x=(4 - margin) / (style.page_mm() - 2 * margin),
            )
        letter(panels)
    fig.subplots_adjust(
        left=margin / style.page_mm(),
        right=1 - margin / style.page_mm(),
        top=1 - (_TITLE_MM - 2) / height,
        bottom=2 / height,
        hspace=_TITLE_MM / panel,
    )
    words = "Mean rank over seeds, 1 is best; joined models cannot be told apart"
    fig.suptitle(words, fontsize=style.pt(7), x=0.01, y=1 - 1 / height, ha="left")
    return fig


def _label(model: str, rank: float) -> str:
    return f"{shortened(model, 32)}  {rank:.1f}"


def _draw(ax: Axes, ranks: pd.Series[float], distance: float) -> None:
    from scikit_posthocs import critical_difference_diagram

    apart = np.abs(ranks.to_numpy()[:, None] - ranks.to_numpy()) > distance
    # The diagram reads p-values; all it needs to know is which pairs are too far apart.
    ranks = ranks.rename(lambda model: shortened(str(model), 32))
    p = pd.DataFrame(np.where(apart, 0.0, 1.0), index=ranks.index, columns=ranks.index)
    critical_difference_diagram(
        ranks,
        p,
        ax=ax,
        label_fmt_left="{label}  {rank:.1f}\N{NO-BREAK SPACE}",
        label_fmt_right="\N{NO-BREAK SPACE}{rank:.1f}  {label}",
        color_palette=dict.fromkeys(ranks.index, style.ink()),
        label_props={"fontsize": style.pt(7)},
        elbow_props={"linewidth": 0.7},
        marker_props={"color": style.OKABE_ITO["blue"], "s": 16},
        crossbar_props={"color": style.OKABE_ITO["vermillion"], "linewidth": 2.2},
        text_h_margin=0.15,
    )
    ax.spines["top"].set_visible(True)
