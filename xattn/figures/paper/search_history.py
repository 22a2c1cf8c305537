"""The figure of a search: its course, which values mattered, and what each of them gave."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from xattn.analysis.evaluation.metrics import by_guessing
from xattn.figures import style
from xattn.figures.drawing.panels import legend, letter
from xattn.figures.folders import SearchFolder
from xattn.figures.registry import NothingToDrawError, figure, save_figures

_PANELS_A_ROW = 3
_LOOKS = {"complete": ("o", "blue"), "pruned": ("x", "orange")}


@figure(
    "search-history",
    meaning=(
        "Validation metric of every trial and the best so far; fraction of the trials' differences "
        "that each value accounts for, beside what chance would give; the metric over each value."
    ),
    of=SearchFolder,
)
def draw_search_history(folder: SearchFolder) -> Figure:
    """Draw the course, the importances and one panel per searched value."""
    if folder.of("complete").empty:
        raise NothingToDrawError(f"Expected a complete trial in {folder.path}, but got none yet")
    keys = list(folder.record["search"]["space"])
    down = 1 + math.ceil(len(keys) / _PANELS_A_ROW)
    fig = Figure(figsize=style.inches(style.page_mm(), 12 + 50 * down), layout="constrained")
    grid = fig.add_gridspec(down, _PANELS_A_ROW)
    _draw_course(fig.add_subplot(grid[0, :2]), folder)
    _draw_importance(fig.add_subplot(grid[0, 2]), folder)
    for i, name in enumerate(keys):
        place = grid[1 + i // _PANELS_A_ROW, i % _PANELS_A_ROW]
        ax = fig.add_subplot(place, sharey=fig.axes[0])
        _draw_slice(ax, folder, name)
        if i % _PANELS_A_ROW == 0:
            ax.set_ylabel(_metric(folder))
        else:
            ax.tick_params(labelleft=False)
    letter(fig.axes)
    legend(fig, fig.axes[0].get_legend_handles_labels()[0])
    return fig


def save_search_figures(folder: str | Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw FOLDER/figures/search-history.<format> from the files of a search.

    Returns:
        The files written; none if no trial has come to its end.
    """
    try:
        return save_figures(SearchFolder(Path(folder)), only="search-history", formats=formats)
    except NothingToDrawError:
        return []


def _metric(folder: SearchFolder) -> str:
    return str(folder.record["search"]["metric"]).removeprefix("val_").replace("_", " ")


def _chance(folder: SearchFolder) -> float:
    """Return the metric of guessing."""
    metric = _metric(folder).replace(" ", "_")
    return by_guessing(len(folder.record["classes"]))[metric]


def _draw_course(ax: Axes, folder: SearchFolder) -> None:
    _scatter(ax, folder, "trial")
    complete = folder.of("complete")
    best = complete["value"].cummax()
    last = int(folder.trials["trial"].max())
    ax.step(
        [*complete["trial"], last],
        [*best, best.iloc[-1]],
        where="post",
        color=style.ink(),
        label="best so far",
    )
    ax.axhline(_chance(folder), color=style.ink(), linestyle=":", label="chance")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial")
    ax.set_ylabel(_metric(folder))
    ax.set_title("Course")
    ax.grid(axis="y")


def _draw_importance(ax: Axes, folder: SearchFolder) -> None:
    ax.set_title("Importance")
    found = folder.record["importance"][::-1]
    if not found:
        ax.text(0, 0.5, "too few complete trials to tell", transform=ax.transAxes)
        ax.set_axis_off()
        return
    y = np.arange(len(found))
    fractions, chances = ([one[name] for one in found] for name in ("share", "chance"))
    ax.barh(y, fractions, height=0.6, color=style.OKABE_ITO["blue"])
    ax.scatter(chances, y, marker="|", s=90, color=style.OKABE_ITO["vermillion"], zorder=3)
    ax.set_yticks(y, [_named(one["key"]) for one in found])
    ax.set_xlim(0, 1)
    ax.set_xlabel("fraction (|: chance, 95 %)")
    ax.grid(axis="x")


def _draw_slice(ax: Axes, folder: SearchFolder, key: str) -> None:
    axis = folder.record["search"]["space"][key]
    ax.set_xlabel(_named(key))
    ax.grid(axis="y")
    if isinstance(axis, list):
        labels = [v if isinstance(v, str) else json.dumps(v) for v in axis]
        _scatter(ax, folder, key, places={label: i for i, label in enumerate(labels)})
        ax.set_xticks(range(len(labels)), labels)
        ax.set_xlim(-0.5, len(labels) - 0.5)
        return
    _scatter(ax, folder, key)
    if axis.get("log"):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())


def _scatter(
    ax: Axes, folder: SearchFolder, column: str, places: dict[str, int] | None = None
) -> None:
    for state, (marker, colour) in _LOOKS.items():
        part = folder.of(state)
        x = part[column].to_numpy()
        if places is not None:  # side by side in the order of the trials
            order = part["trial"] / max(1, folder.trials["trial"].max())
            x = part[column].map(places).to_numpy() + 0.4 * (order.to_numpy() - 0.5)
        ax.scatter(
            x, part["value"], s=14, marker=marker, color=style.OKABE_ITO[colour], label=state
        )


def _named(key: str) -> str:
    return key.rpartition(".")[2].replace("_", " ")
