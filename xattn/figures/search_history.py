"""The figure of a search: its course, which values mattered, and what each of them gave."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from xattn.figures import style
from xattn.runs.atomic import replacing

CAPTION = (
    "Validation metric of every trial and the best so far; share of the trials' differences that "
    "each value accounts for, beside what chance would give; the metric over each value."
)
_PANELS_A_ROW = 3
_LOOKS = {"complete": ("o", "blue"), "pruned": ("x", "orange")}


@dataclass(frozen=True)
class SearchTables:
    """What is drawn.

    Attributes:
        trials: trials.csv.
        record: search.json.
    """

    trials: pd.DataFrame
    record: dict[str, Any]

    @property
    def keys(self) -> list[str]:
        """Dotted keys that were searched."""
        return list(self.record["search"]["space"])

    @property
    def metric(self) -> str:
        """The metric's name for a person."""
        return str(self.record["search"]["metric"]).removeprefix("val_").replace("_", " ")

    @property
    def chance(self) -> float:
        """The metric of guessing."""
        return 0.5 if self.metric == "auc" else 1 / len(self.record["classes"])

    def axis(self, key: str) -> Any:
        """Return the range or the choices of a key."""
        return self.record["search"]["space"][key]

    def of(self, state: str) -> pd.DataFrame:
        """Return the trials that ended so and have a value."""
        return self.trials[(self.trials["state"] == state) & self.trials["value"].notna()]


def save_search_figures(folder: str | Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Draw FOLDER/figures/search.<format> from the files of a search.

    Returns:
        The files written; none if no trial has come to its end.
    """
    folder = Path(folder)
    tables = read_search(folder)
    if tables.of("complete").empty:
        return []
    (folder / "figures").mkdir(exist_ok=True)
    written = []
    with style.style():
        drawn = draw_search(tables)
        for format in formats:
            path = folder / "figures" / f"search.{format}"
            about = {"Title": "search", "Software": None} if format == "png" else {}
            with replacing(path) as scratch:
                drawn.savefig(scratch, format=format, metadata=about)
            written.append(path)
    return written


def read_search(folder: Path) -> SearchTables:
    """Read trials.csv and search.json."""
    record = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    choices = {k: str for k, axis in record["search"]["space"].items() if isinstance(axis, list)}
    trials = pd.read_csv(folder / "trials.csv", dtype=choices)
    return SearchTables(trials, record)


def draw_search(tables: SearchTables) -> Figure:
    """Draw the course, the importances and one panel per searched value."""
    down = 1 + math.ceil(len(tables.keys) / _PANELS_A_ROW)
    fig = Figure(figsize=style.inches(style.page_mm(), 12 + 50 * down), layout="constrained")
    grid = fig.add_gridspec(down, _PANELS_A_ROW)
    _draw_course(fig.add_subplot(grid[0, :2]), tables)
    _draw_importance(fig.add_subplot(grid[0, 2]), tables)
    for i, key in enumerate(tables.keys):
        place = grid[1 + i // _PANELS_A_ROW, i % _PANELS_A_ROW]
        ax = fig.add_subplot(place, sharey=fig.axes[0])
        _draw_slice(ax, tables, key)
        if i % _PANELS_A_ROW == 0:
            ax.set_ylabel(tables.metric)
        else:
            ax.tick_params(labelleft=False)
    handles, labels = fig.axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return fig


def _draw_course(ax: Axes, tables: SearchTables) -> None:
    _scatter(ax, tables, "trial")
    complete = tables.of("complete")
    best = complete["value"].cummax()
    last = int(tables.trials["trial"].max())
    ax.step(
        [*complete["trial"], last],
        [*best, best.iloc[-1]],
        where="post",
        color=style.ink(),
        label="best so far",
    )
    ax.axhline(tables.chance, color=style.ink(), linestyle=":", label="chance")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial")
    ax.set_ylabel(tables.metric)
    ax.set_title("Course")
    ax.grid(axis="y")


def _draw_importance(ax: Axes, tables: SearchTables) -> None:
    ax.set_title("Importance")
    found = tables.record["importance"][::-1]
    if not found:
        ax.text(0, 0.5, "too few complete trials to tell", transform=ax.transAxes)
        ax.set_axis_off()
        return
    y = np.arange(len(found))
    shares, chances = ([one[name] for one in found] for name in ("share", "chance"))
    ax.barh(y, shares, height=0.6, color=style.OKABE_ITO["blue"])
    ax.scatter(chances, y, marker="|", s=90, color=style.OKABE_ITO["vermillion"], zorder=3)
    ax.set_yticks(y, [_named(one["key"]) for one in found])
    ax.set_xlim(0, 1)
    ax.set_xlabel("share (|: chance, 95 %)")
    ax.grid(axis="x")


def _draw_slice(ax: Axes, tables: SearchTables, key: str) -> None:
    axis = tables.axis(key)
    ax.set_xlabel(_named(key))
    ax.grid(axis="y")
    if isinstance(axis, list):
        labels = [v if isinstance(v, str) else json.dumps(v) for v in axis]
        _scatter(ax, tables, key, places={label: i for i, label in enumerate(labels)})
        ax.set_xticks(range(len(labels)), labels)
        ax.set_xlim(-0.5, len(labels) - 0.5)
        return
    _scatter(ax, tables, key)
    if axis.get("log"):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())


def _scatter(
    ax: Axes, tables: SearchTables, column: str, places: dict[str, int] | None = None
) -> None:
    for state, (marker, colour) in _LOOKS.items():
        part = tables.of(state)
        x = part[column].to_numpy()
        if places is not None:  # side by side in the order of the trials
            order = part["trial"] / max(1, tables.trials["trial"].max())
            x = part[column].map(places).to_numpy() + 0.4 * (order.to_numpy() - 0.5)
        ax.scatter(
            x, part["value"], s=14, marker=marker, color=style.OKABE_ITO[colour], label=state
        )


def _named(key: str) -> str:
    return key.rpartition(".")[2].replace("_", " ")
