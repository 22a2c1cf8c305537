"""How far each kind of evidence is right where the answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xattn.figures import style
from xattn.figures.drawing.panels import legend, letter
from xattn.figures.folders import KnownFolder
from xattn.figures.registry import NothingToDrawError, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    ("recall", "used"): "Found, of what is used",
    ("false alarms", "easy null"): "False alarms: easy",
    ("false alarms", "hard null"): "False alarms: correlates",
}
_ALL = "all"
_ROW_MM, _LEVEL = 8.0, 0.05


@figure(
    "known-answers",
    meaning=(
        "How often each kind of evidence calls a feature used, in networks of which it is known: "
        "of features that move the score by half a standard deviation or more, of features that "
        "are not used, and of those that are not used but go with one that is, with 95 % "
        "intervals, by halves of the worlds."
    ),
    tables=("known_answers",),
    of=KnownFolder,
)
def draw_known_answers(folder: KnownFolder) -> Figure:
    """Draw a row per kind of evidence, and a mark per half.

    Raises:
        NothingToDrawError: no network learned.
    """
    table = folder.table("known_answers")
    rows = table[(table["by"] == _ALL) & table["evidence"].notna()]
    shown = pd.concat([rows[(rows["question"] == q) & (rows["of"] == of)] for q, of in PANELS])
    if shown.empty:
        raise NothingToDrawError(f"Expected networks that learned in {folder.path}, but got none")
    evidence = list(dict.fromkeys(shown["evidence"]))
    halves = [half for half in dict.fromkeys(shown["half"]) if half != _ALL]
    halves = halves if len(halves) > 1 else [_ALL]
    height = 26 + _ROW_MM * len(evidence)
    fig = Figure(figsize=style.inches(style.page_mm(), height), layout="constrained")
    panels = fig.subplots(1, len(PANELS), sharey=True)
    colours = dict(zip(halves, style.series_colours(len(halves)), strict=True))
    for ax, ((question, of), title) in zip(panels, PANELS.items(), strict=True):
        part = shown[(shown["question"] == question) & (shown["of"] == of)]
        for i, half in enumerate(halves):
            place = (i - (len(halves) - 1) / 2) * 0.28
            _marks(ax, part[part["half"] == half].set_index("evidence"), evidence, place,
                   colours[half], style.MARKERS[i])  # fmt: skip
        if question != "recall":
            ax.axvline(_LEVEL, color=style.ink(), linewidth=0.7, linestyle=":")
        ax.set_title(title)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        ax.grid(axis="x")
        ax.set_xlabel("of the features")
    panels[0].set_yticks(range(len(evidence)), evidence)
    panels[0].set_ylim(len(evidence) - 0.5, -0.5)
    letter(panels)
    handles = [
        Line2D([], [], color=colours[half], marker=style.MARKERS[i], markersize=4,
               label="all worlds" if half == _ALL else f"{half} half")
        for i, half in enumerate(halves)
    ]  # fmt: skip
    level = Line2D([], [], color=style.ink(), linestyle=":", label=f"{_LEVEL:.0%}")
    legend(fig, [*handles, level])
    return fig


def _marks(
    ax: Axes, part: pd.DataFrame, evidence: list[str], place: float, colour: str, marker: str
) -> None:
    """Draw a half's rates with their intervals; a kind without any has no mark."""
    known = part.reindex(evidence)
    y = np.arange(len(evidence)) + place
    rate = known["rate"].to_numpy(float)
    reach = np.abs(np.stack([rate - known["low"], known["high"] - rate]))
    ax.errorbar(
        rate, y, xerr=reach, fmt=marker, color=colour, markersize=4, linewidth=1.0, capsize=0
    )
