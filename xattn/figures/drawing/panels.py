"""What figures of several panels share: letters, and rows that stand in several panels."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib import rcParams
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.drawing.forest import Rows, label_rows, shade_rows

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def panels_over_rows(
    rows: Rows, row_mm: float, notes: Mapping[str, str], number: int, across: int
) -> tuple[Figure, list[Axes]]:
    """Make a figure as wide as the page whose panels all have the same rows, named on the left.

    Args:
        rows: of every panel.
        row_mm: height of a feature's row.
        notes: feature -> what stands behind its name.
        number: of panels.
        across: panels beside each other.

    Returns:
        The figure, and its panels from left to right and from top to bottom.
    """
    down = math.ceil(number / across)
    height = 24 + down * (14 + row_mm * rows.height)
    fig = Figure(figsize=style.inches(style.page_mm(), height), layout="constrained")
    grid = fig.subplots(down, across, sharey=True, squeeze=False)
    for left, *others in grid:
        label_rows(left, rows, notes)
        left.grid(axis="x")
        for ax in others:
            rows_of_a_neighbour(ax, rows)
    for ax in grid.flat[number:]:
        ax.set_visible(False)
    return fig, list(grid.flat[:number])


def say_above(fig: Figure, words: str, rows: Rows) -> None:
    """Say above all panels what the rows are, and how many found no place."""
    if rows.left_out:
        words += f"; {rows.left_out} more in the table"
    fig.suptitle(words, fontsize=style.pt(7), x=0.01, ha="left")


def letter(panels: Iterable[Axes]) -> None:
    """Put a, b, c, ... before the titles of panels, in the order given; a single one has none."""
    panels = list(panels)
    if len(panels) < 2:
        return
    for i, ax in enumerate(panels):
        mark = string.ascii_lowercase[i % 26]
        ax.set_title(f"{mark}  {ax.get_title(loc='left')}".rstrip(), loc="left")


def legend(fig: Figure, handles: Sequence[Artist], most: int = 4) -> None:
    """Put the legend below, in as many columns (at most `most`) as the longest entry allows."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    entry_mm = 9.0 + 0.2 * longest * float(rcParams["legend.fontsize"])
    columns = int(25.4 * fig.get_figwidth() / entry_mm)
    fig.legend(handles=handles, loc="outside lower center", ncols=max(1, min(most, columns)))


def rows_of_a_neighbour(ax: Axes, rows: Rows) -> None:
    """Let a panel continue the rows that the panel on its left has labelled."""
    shade_rows(ax, rows)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def zero_line(ax: Axes) -> None:
    """Draw the line of no effect."""
    ax.axvline(0, color=style.ink(), linewidth=0.8, zorder=1)
