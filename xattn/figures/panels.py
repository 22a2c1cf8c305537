"""What figures of several panels share: letters, and rows that stand in several panels."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from matplotlib import rcParams

from xattn.figures import style
from xattn.figures.forest import Rows, shade_rows

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
