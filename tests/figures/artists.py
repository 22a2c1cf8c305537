"""What tests of figures look for in a drawn figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from xattn.figures import style


def drawn(draw, *of, venue: str = "default") -> Figure:
    """Draw under our style, as `save_figures` does."""
    with style.style(venue):
        fig = draw(*of)
        FigureCanvasAgg(fig).draw()
    return fig


def points(ax: Axes) -> list[tuple[float, float, bool]]:
    """Return (x, y, filled?) of every marker that is a point with a face."""
    found = []
    for artist in ax.collections:
        if isinstance(artist, PathCollection) and len(artist.get_facecolor()):
            filled = to_hex(artist.get_facecolor()[0]) != "#ffffff"
            found += [(*xy, filled) for xy in np.asarray(artist.get_offsets())]
    return found


def spans(ax: Axes) -> np.ndarray:
    """Return the two ends of every horizontal interval, (n, 2)."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    return np.array([seg[:, 0] for c in lines for seg in c.get_segments() if len(seg) == 2])


def words(fig: Figure) -> str:
    """Return all text of a figure."""
    return " | ".join(t.get_text() for t in fig.findobj(Text))


def overhang(fig: Figure) -> float:
    """Return how far anything reaches over the edge of the page, in mm."""
    box, (width, height) = fig.get_tightbbox(), fig.get_size_inches()
    return float(25.4 * max(0, -box.x0, -box.y0, box.x1 - width, box.y1 - height))
