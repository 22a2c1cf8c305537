"""How the use of each feature changes over a training, controls beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xattn.figures import style
from xattn.figures.drawing.forest import (
    heading,
    key,
    keys_of_significance,
    kind_colour,
    significant,
)
from xattn.figures.drawing.panels import legend, letter
from xattn.figures.numbers import readable, shortened
from xattn.figures.registry import figure
from xattn.figures.run_sources import by_kind
from xattn.runs import TableFolder
from xattn.runs.atomic import read_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 24
"""More features fit no page; the figure then shows the most significant ones and says so."""

_PANELS_A_ROW = 4
_NARROWEST_MM, _PANEL_MM, _FRAME_MM, _TALLEST_MM = 40.0, 30.0, 26.0, 236.0


@figure(
    "usage-over-training",
    meaning=(
        "Dependence of the prediction on each feature given the label, in bits, at each checkpoint "
        "of a training, with 95 % intervals; grey are the controls, features of chance that no "
        "model can use."
    ),
    tables=("usage_over_training",),
    of=TableFolder,
)
def draw_usage_over_training(folder: TableFolder) -> Figure:
    """Draw one panel a feature: its effect over the steps, filled where it came out as used."""
    table = folder.table("usage_over_training").sort_values("step", kind="stable")
    alpha = _alpha(folder)
    features, left_out = _chosen(table)
    page, title_pt = style.page_mm(), style.pt(7)
    across = min(_PANELS_A_ROW, int(page / _NARROWEST_MM), len(features))
    down = math.ceil(len(features) / across)
    panel = min(_PANEL_MM, (_TALLEST_MM - _FRAME_MM) / down)
    size = style.inches(page, _FRAME_MM + panel * down)
    fig = Figure(figsize=size, layout="constrained")
    panels = fig.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    controls = table[table["kind"] == "control"]
    tests = list(dict.fromkeys(table.loc[table["kind"] != "control", "test"]))
    # A bold letter is about 0.65 of its size wide; the panel's own takes three.
    most = int((page - 14) / across / (0.65 * title_pt * 25.4 / 72)) - 3
    for ax, feature in zip(panels.flat, features, strict=False):
        for _, part in controls.groupby(["feature", "test"], sort=False):
            _draw(ax, part, style.KIND_COLOURS["control"], "", alpha)
        for test, part in table[table["feature"] == feature].groupby("test", sort=False):
            marker = style.MARKERS[tests.index(test) % len(style.MARKERS)]
            _draw(ax, part, kind_colour(str(part["kind"].iloc[0])), marker, alpha)
        ax.axhline(0, color=style.ink(), linewidth=0.6, zorder=1)
        ax.set_title(shortened(readable(feature), most))
        ax.grid(axis="y")
    for ax in list(panels.flat)[len(features) :]:
        ax.set_visible(False)
    with rc_context({"axes.titlesize": title_pt}):
        letter(panels.flat[: len(features)])
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in panels[:, 0]:
        ax.set_ylabel("effect, bits")
    for i in range(across):  # the lowest panel of each column
        ax = [p for p in panels[:, i] if p.get_visible()][-1]
        ax.set_xlabel("step")
        ax.tick_params(labelbottom=True)
    kinds = dict(zip(table["feature"], table["kind"], strict=True))
    kinds |= dict.fromkeys(controls["feature"], "control")
    shown = [*features, *dict.fromkeys(controls["feature"])]
    handles = [key(kind_colour(k), "" if k == "control" else "o", heading(k).lower())
               for k, _ in by_kind(shown, kinds)]  # fmt: skip
    if len(tests) > 1:
        handles += [key(style.ink(), style.MARKERS[i % 14], t) for i, t in enumerate(tests)]
    handles += keys_of_significance(alpha, "")
    legend(fig, handles)
    said = "Bands are 95 % intervals"
    if left_out:
        said += f"; the {MOST_PANELS} most significant features, {left_out} more in the table"
    fig.suptitle(said, fontsize=style.pt(7), x=0.01, ha="left")
    return fig


def _alpha(folder: TableFolder) -> float:
    path = folder.path / "usage_over_training.json"
    if not path.is_file():
        return 0.05
    return float(read_record(path).get("alpha", 0.05))


def _chosen(table: pd.DataFrame) -> tuple[list[str], int]:
    """Return the features to show, kinds together and the largest effect first; how many not."""
    features = table[table["kind"] != "control"]
    features = features if len(features) else table
    grouped = features.groupby("feature", sort=True)
    best = grouped["p_adjusted"].min().sort_values(kind="stable").index[:MOST_PANELS]
    effect = grouped["effect_bits"].max().loc[best].sort_values(ascending=False, kind="stable")
    kinds = {str(f): str(k) for f, k in zip(features["feature"], features["kind"], strict=True)}
    ordered = [f for _, some in by_kind([str(f) for f in effect.index], kinds) for f in some]
    return ordered, grouped.ngroups - len(ordered)


def _draw(ax: Axes, part: pd.DataFrame, colour: str, marker: str, alpha: float) -> None:
    """Draw one curve with its band; a control is drawn without points."""
    x, y, low, high = (
        part[c].to_numpy(float) for c in ("step", "effect_bits", "effect_low", "effect_high")
    )
    faint = 0.12 if not marker else 0.22
    ax.fill_between(x, low, high, color=colour, alpha=faint, linewidth=0, zorder=1)
    ax.plot(x, y, color=colour, linewidth=0.8 if not marker else 1.1, zorder=2)
    if not marker:
        return
    filled = significant(part, alpha)
    known = np.isfinite(y)
    for which, face in ((known & filled, colour), (known & ~filled, style.paper())):
        if which.any():
            ax.scatter(x[which], y[which], s=14, marker=marker, facecolor=face, edgecolor=colour,
                       linewidth=0.9, zorder=3)  # fmt: skip
