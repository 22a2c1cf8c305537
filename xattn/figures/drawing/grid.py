"""Panels of images and maps on a page, placed in mm, with what stands below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from xattn.figures import style
from xattn.figures.drawing import compose
from xattn.figures.numbers import readable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xattn.images import Cells
    from xattn.runs import RunFolder

LABELS_MM, GAP_MM, HEAD_MM = 30.0, 1.2, 7.0
_LEGEND_MM, _LINE_MM = 36.0, 3.6
_CELL_MM, _MOST_MM = 28.0, 236.0
_NOTE_MM = 3.0
_PT_MM = 25.4 / 72
_OPACITY = 0.55
_EDGE = [Stroke(linewidth=1.3, foreground="#000000", alpha=0.6), Normal()]
_SPECK = 0.15  # parts below this fraction of a mask's largest part are not outlined


@dataclass(frozen=True)
class Grid:
    """Where the panels are, in mm from the top left corner of the figure.

    Attributes:
        width: of the figure; what the columns need, but no less than the middle width of the style.
        rows: in all.
        foot: height of what stands below.
        cell_w, cell_h: size of a panel.
        every, extra: so many rows belong together, and so much is left free above them.
        above: height of what stands over all rows.
    """

    width: float
    rows: int
    foot: float
    cell_w: float
    cell_h: float
    every: int = 1
    extra: float = 0.0
    above: float = HEAD_MM

    @classmethod
    def of(
        cls,
        run: RunFolder,
        columns: int,
        rows: int,
        outlines: list[str],
        every: int = 1,
        extra: float = 0.0,
        above: float = HEAD_MM,
        note: bool = False,
    ) -> Grid:
        """Return a grid of panels in the shape of the run's images, above a foot.

        With a note there is room for a line below all. Panels are at most 28 mm wide, and less
        where columns or rows would not fit the page.
        """
        height, width = run.preprocessing.size
        cell_w = min(_CELL_MM, (style.page_mm() - LABELS_MM) / columns - GAP_MM)
        needed = max(style.text_mm(), LABELS_MM + columns * (cell_w + GAP_MM))
        page = min(style.page_mm(), needed)
        foot = max(11.0, 5.0 + _LINE_MM * -(-len(outlines) // _legend_columns(outlines, page)))
        foot += _NOTE_MM if note else 0.0
        room = _MOST_MM - above - foot - rows // every * extra
        cell_h = min(cell_w * height / width, room / rows - GAP_MM)
        return cls(page, rows, foot, cell_h * width / height, cell_h, every, extra, above)

    @property
    def height(self) -> float:
        """Height of the figure."""
        return self.top(self.rows) - self.extra + self.foot

    def top(self, row: int) -> float:
        """Return where a row begins."""
        return self.above + row * (self.cell_h + GAP_MM) + (row // self.every + 1) * self.extra

    def left(self, column: int) -> float:
        """Return where a column begins."""
        return LABELS_MM + column * (self.cell_w + GAP_MM)

    def axes(self, fig: Figure, row: int, column: int) -> Axes:
        """Add the panel at a place."""
        ax = fig.add_axes(
            (
                self.left(column) / self.width,
                1 - (self.top(row) + self.cell_h) / self.height,
                self.cell_w / self.width,
                self.cell_h / self.height,
            )
        )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        return ax

    def head(self, fig: Figure, words: list[str], row: int | None = None) -> None:
        """Write over each column what it shows: at the top, or over a row."""
        bottom = self.above if row is None else self.top(row)
        # A letter is about 0.58 of its size wide.
        room = (self.cell_w + GAP_MM) / max(map(len, words)) / 0.58 / _PT_MM
        size = max(5.0, min(7.0, room))
        for column, text in enumerate(words):
            x = (self.left(column) + self.cell_w / 2) / self.width
            y = 1 - (bottom - 1.5) / self.height
            fig.text(x, y, text, ha="center", va="bottom", fontsize=style.pt(size))


def spread_words(methods: Sequence[str]) -> str:
    """Say below maps of which methods nobody knows where the cells lie."""
    named = shortened(", ".join(methods), 60)
    return f"Cells of {named} drawn evenly spread: not recorded where they lie"


def draw_image(
    ax: Axes, image: NDArray[np.uint8] | None, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Draw an image (h, w, 3), or say that its file is gone; return what is drawn."""
    shown = compose.blank(*size) if image is None else image
    ax.imshow(shown, interpolation="none")
    if image is None:
        announce(ax, "file not found")
    return shown


def draw_overlay(
    ax: Axes, image: NDArray[np.uint8], native: NDArray[np.float32], cells: Cells
) -> None:
    """Draw a map (h', w') over an image (h, w, 3), or say why there is nothing to show."""
    if _defective(ax, image, native):
        return
    colours = compose.colourise(compose.scaled(native, cells, *image.shape[:2]))
    ax.imshow(compose.blend(image, colours, _OPACITY), interpolation="none")


def draw_native(
    ax: Axes, image: NDArray[np.uint8], native: NDArray[np.float32], cells: Cells
) -> None:
    """Draw a map at its own resolution, each of its cells where it lies in the image's frame."""
    if _defective(ax, image, native):
        return
    ax.imshow(
        compose.blocks(native, cells, *image.shape[:2]),
        cmap=style.MAP_COLOURS, vmin=0, vmax=1, interpolation="none",
    )  # fmt: skip


def _defective(ax: Axes, image: NDArray[np.uint8], native: NDArray[np.float32]) -> bool:
    """Say in the panel why a map cannot be shown, if it cannot."""
    if why := compose.defect(native):
        draw_nothing(ax, image, why)
    return bool(why)


def draw_nothing(ax: Axes, image: NDArray[np.uint8], why: str) -> None:
    """Draw a faded image (h, w, 3) with the reason why no map lies over it."""
    ax.imshow(compose.greyed(image), interpolation="none")
    announce(ax, why)


def describe(ax: Axes, lines: list[str], bold: str = "") -> None:
    """Write lines left of a panel, about its middle, the first in bold if there is one.

    In low panels they move closer together and then become smaller, to stay off the rows beside.
    """
    height = ax.bbox.height / ax.figure.dpi * 72  # points
    room = height / (len(lines) + bool(bold))
    size = style.pt(min(6.2, room / 1.15))
    looks: dict[str, Any] = {
        "transform": ax.transAxes, "ha": "right", "va": "center", "fontsize": size,
        "linespacing": min(1.45, 0.95 * room / size),
    }  # fmt: skip
    # Both texts have as many lines, so that each lies where the other has its gap.
    ax.text(-0.06, 0.5, "\n".join(["", *lines] if bold else lines), **looks)
    if bold:
        ax.text(-0.06, 0.5, bold + "\n" * len(lines), fontweight="bold", **looks)


def announce(ax: Axes, words: str) -> None:
    """Hatch a panel and say in words why it shows nothing."""
    ax.add_patch(
        Rectangle((0, 0), 1, 1, transform=ax.transAxes, facecolor="none", edgecolor="#6b6b6b",
                  hatch="////", linewidth=0)
    )  # fmt: skip
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", fontsize=style.pt(7),
            color="#1b1b1b", bbox=box)  # fmt: skip


def outline(ax: Axes, mask: NDArray[np.bool_], stroke: style.Stroke) -> None:
    """Outline a mask (h, w) in its colour, with a dark edge that shows on any skin."""
    # A margin of zeros closes outlines at the image's edge.
    padded = np.pad(main_parts(compose.envelope(mask)), 1).astype(np.float32)
    y, x = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
    lines = ax.contour(x, y, padded, levels=[0.5], colors=[stroke.colour], linewidths=0.7,
                       linestyles=[stroke.dash])  # fmt: skip
    lines.set_path_effects(_EDGE)
    ax.set_xlim(-0.5, mask.shape[1] - 0.5)
    ax.set_ylim(mask.shape[0] - 0.5, -0.5)


def main_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out the specks of a mask (h, w), whose outlines would hide what they are around."""
    _, number, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the ground
    return np.asarray((areas >= max(1, _SPECK * areas.max()))[number])


def _legend_name(feature: str) -> str:
    return shortened(readable(feature), 18)


def _legend_columns(features: list[str], width: float) -> int:
    """Return how many names of these lengths stand beside each other in so many mm."""
    longest = max((len(_legend_name(f)) for f in features), default=0)
    column_mm = 7.5 + 1.3 * longest  # stroke and gaps, and a letter of 6.2 points
    room = width - LABELS_MM - _LEGEND_MM + 2.6  # the last column needs no gap behind it
    return max(1, int(room / column_mm))


def draw_foot(
    fig: Figure, grid: Grid, outlines: dict[str, style.Stroke], runs: Sequence[RunFolder]
) -> None:
    """Put the scale of the maps and the legend of the outlines below, and what is not known."""
    if unplaced := list(dict.fromkeys(m for run in runs for m in run.spread_evenly)):
        fig.text(1.0 / grid.width, 0.6 / grid.height, spread_words(unplaced),
                 fontsize=style.pt(5.5), va="bottom")  # fmt: skip
    bar = fig.add_axes(
        (LABELS_MM / grid.width, (grid.foot - 5.0) / grid.height, 28 / grid.width,
         2.0 / grid.height)
    )  # fmt: skip
    scale = ScalarMappable(cmap=colormaps[style.MAP_COLOURS])
    colours = fig.colorbar(scale, cax=bar, orientation="horizontal", ticks=[0, 1])
    colours.ax.set_xticklabels(["0", "1"], fontsize=style.pt(6.2))
    bar.text(-0.06, 0.5, "fraction of each\nmap's maximum", transform=bar.transAxes, ha="right",
             va="center", fontsize=style.pt(6.2))  # fmt: skip
    colours.outline.set_visible(False)
    handles = [
        Line2D(
            [],
            [],
            color=s.colour,
            linestyle=s.dash,
            linewidth=1.2,
            label=_legend_name(name),
            path_effects=[Stroke(linewidth=2.2, foreground="#000000", alpha=0.6), Normal()],
        )
        for name, s in outlines.items()
    ]
    if handles:
        corner = ((LABELS_MM + _LEGEND_MM) / grid.width, (grid.foot - 2.0) / grid.height)
        columns = _legend_columns(list(outlines), grid.width)
        fig.legend(handles=handles, loc="upper left", ncols=columns,
                   fontsize=style.pt(6.2), handlelength=1.6, columnspacing=1.2, labelspacing=0.4,
                   borderaxespad=0, bbox_to_anchor=corner)  # fmt: skip
