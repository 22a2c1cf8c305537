"""How every figure looks: sizes in mm, fonts, and colours that colour-blind readers can tell apart.

Categories take Okabe & Ito's palette (Color Universal Design, 2008), maps take the perceptually
uniform `inferno`, whose lightness rises all the way, so that grey prints keep the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import matplotlib as mpl

from xattn.errors import UsageError, near
from xattn.figures.venues import VENUES, Venue

Dash = Literal["-", "--", ":"]

_DASHES: tuple[Dash, ...] = ("-", "--", ":")

_VENUE: ContextVar[Venue] = ContextVar("venue", default=VENUES["default"])

MAP_COLOURS = "inferno"

OKABE_ITO = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
}

KIND_COLOURS = {
    "structure": OKABE_ITO["blue"],
    "artifact": OKABE_ITO["vermillion"],
    "metadata": OKABE_ITO["purple"],
    "computed": OKABE_ITO["green"],
    "control": "#808080",
}
"""Colour of each kind of feature, the same in every figure."""

KIND_ORDER = tuple(KIND_COLOURS)

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p", "h", "<", ">", "d", "8", "*")

_INK, _FAINT, _PAPER = "#1b1b1b", "#d9d9d9", "#ffffff"
DARK = {_INK: "#e6e6e6", _FAINT: "#484b50", _PAPER: "#191b1f", "#0072b2": "#4aa3df"}
"""What changes on a dark screen; of the palette only blue is too dim there."""


@dataclass(frozen=True)
class Stroke:
    """Colour and dash of one outline."""

    colour: str
    dash: Dash

    @property
    def svg_dash(self) -> str:
        """The same dash as an SVG `stroke-dasharray`, "" for a solid line."""
        return {"-": "", "--": "5 3", ":": "1.5 2.5"}[self.dash]


WHITE_DASHED = Stroke("#ffffff", "--")
"""Outline of the lesion as a whole, apart from every feature's."""

_ON_SKIN = ("sky", "orange", "green", "yellow", "blue", "vermillion", "purple")


def strokes(names: Sequence[str]) -> dict[str, Stroke]:
    """Give each name its own outline: seven colours, solid first, then dashed, then dotted.

    Beyond 21 names outlines repeat.
    """
    known = [Stroke(OKABE_ITO[colour], dash) for dash, colour in product(_DASHES, _ON_SKIN)]
    return {name: known[i % len(known)] for i, name in enumerate(names)}


def series_colours(n: int) -> list[str]:
    """Give n colours for the members of a series, such as methods; they repeat beyond six."""
    order = ("blue", "vermillion", "green", "purple", "orange", "sky")
    return [OKABE_ITO[order[i % len(order)]] for i in range(n)]


def inches(width_mm: float, height_mm: float) -> tuple[float, float]:
    """Turn a size in mm into what matplotlib asks for."""
    return width_mm / 25.4, height_mm / 25.4


def column_mm() -> float:
    """Return the width of one column under the style in force."""
    return _VENUE.get().column


def text_mm() -> float:
    """Return the width of a figure of middle size under the style in force."""
    return _VENUE.get().text


def page_mm() -> float:
    """Return the width of the whole page under the style in force."""
    return _VENUE.get().page


def pt(size: float) -> float:
    """Return a text size, in points, as near to `size` as the style in force allows."""
    return min(max(size, _VENUE.get().smallest), _VENUE.get().largest)


def faint() -> str:
    """Return the colour of grids and chance bands under the style in force."""
    return str(mpl.rcParams["grid.color"])


def ink() -> str:
    """Return the colour of text and rules under the style in force."""
    return str(mpl.rcParams["text.color"])


def paper() -> str:
    """Return the colour of the ground under the style in force."""
    return str(mpl.rcParams["axes.facecolor"])


def for_dark_screens(svg: str) -> str:
    """Turn ink, grid, ground and blue of a figure saved as SVG into those of a dark page."""
    for light, dark in DARK.items():
        svg = svg.replace(light, dark)
    return svg


@contextmanager
def style(venue: str = "default", **changes: Any) -> Iterator[None]:
    """Draw and save inside this block to get the project's look; settings come back after it.

    Args:
        venue: whose widths and text sizes hold, a name in `venues.VENUES`.
        changes: rcParams that differ, dots written as double underscores.

    Raises:
        UsageError: the venue is not known.
    """
    if venue not in VENUES:
        raise UsageError(f"Unknown style {venue!r}{near(venue, VENUES)}")
    before = _VENUE.set(VENUES[venue])
    try:
        with mpl.rc_context():
            mpl.rcdefaults()  # a user's matplotlibrc must not change the bytes
            ours = _settings() | {key.replace("__", "."): v for key, v in changes.items()}
            mpl.rcParams.update(ours)  # type: ignore[arg-type]  # names come as strings
            yield
    finally:
        _VENUE.reset(before)


def _settings() -> dict[str, Any]:
    return {
        # Comes with matplotlib, so a file has the same bytes on every machine.
        "font.family": "DejaVu Sans",
        "font.size": pt(7.5),
        "axes.titlesize": pt(8),
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": pt(7.5),
        "xtick.labelsize": pt(7),
        "ytick.labelsize": pt(7),
        "legend.fontsize": pt(7),
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.facecolor": _PAPER,
        "figure.facecolor": _PAPER,
        "savefig.facecolor": _PAPER,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 0,
        "grid.color": _FAINT,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.0,
        "hatch.linewidth": 0.5,
        "image.cmap": MAP_COLOURS,
        "savefig.dpi": 300,
        "text.parse_math": False,  # names of files and features may hold a dollar sign
        # Text stays text: searchable, and editable by a journal's typesetters.
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "xattn",
    }
