"""A figure as the page holds it: a bitmap, or an element whose points know their row."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from xattn.errors import RunError
from xattn.figures.drawing.interactive import inlined
from xattn.figures.registry import PaperFigure
from xattn.figures.style import for_dark_screens, style
from xattn.runs import RunFolder

_PIXELS_PER_INCH = 128  # print sizes a third larger, for reading at a screen's distance


@dataclass(frozen=True)
class Plot:
    """A figure for light and dark screens.

    Attributes:
        light, dark: SVG data URIs, "" where it is part of the page.
        inline: the figure as an element of the page, its points named by row of the table; ""
            where its points are of no row that is shown.
        width: in CSS pixels.
        caption: what it shows.
    """

    light: str
    dark: str
    inline: str
    width: int
    caption: str

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.light) + len(self.dark) + len(self.inline)


def make_plot(card: PaperFigure, run: RunFolder, rows: list[int], prefix: str) -> Plot | None:
    """Draw a figure of a run; letters become outlines, the page brings no font.

    Args:
        rows: places in the file of the rows that the table beside it shows.
        prefix: of the figure's ids in the page; letters, digits and dashes.

    Returns:
        The figure, None where there is nothing to draw.
    """
    if card.why_not(run):
        return None
    buffer = io.BytesIO()
    try:
        with style(svg__fonttype="path"):
            figure = card.draw(run)
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    except RunError:
        return None  # the table is there, but holds nothing that could be drawn
    svg = buffer.getvalue().decode("utf-8")
    width = round(figure.get_figwidth() * _PIXELS_PER_INCH)
    if inline := inlined(svg, rows, prefix):
        return Plot("", "", inline, width, card.meaning)
    return Plot(_svg_uri(svg), _svg_uri(for_dark_screens(svg)), "", width, card.meaning)


def _svg_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")
