"""Images, their masks and the maps of every method, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from xattn.figures import compose, style
from xattn.figures.choose import in_turn, ranked
from xattn.figures.evidence import Evidence
from xattn.figures.numbers import readable, shortened
from xattn.figures.registry import figure
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 8
"""Images shown; more would not fit a page."""

_MOST_WITH_NATIVE = 3  # with more methods, the overlays alone fill the page
_LABELS_MM, _GAP_MM, _HEAD_MM = 30.0, 1.2, 7.0
_LEGEND_MM, _LINE_MM = 36.0, 3.6
_OPACITY = 0.55
_EDGE = [Stroke(linewidth=1.3, foreground="#000000", alpha=0.6), Normal()]
_SPECK = 0.15  # parts below this share of a mask's largest part are not outlined


@figure(
    "attribution-grid",
    "For each label, one image classified correctly and one wrongly (of those, the one with the "
    "most annotated features, then the most confident): masks outlined, each method's map over "
    "the image and at its own resolution, every map scaled to its own maximum; a hatched panel "
    "is a map without positive attribution.",
)
def draw_attribution_grid(run: RunFolder) -> Figure:
    """Draw the chosen images as rows, and per method its overlay and its native map as columns."""
    evidence = Evidence(run)
    chosen = rows_shown(run, evidence)
    masks = evidence.masks(chosen["row"].tolist())
    present = [name for name in evidence.masked if any(name in found for found in masks)]
    grid = _Grid.of(run, len(chosen), present)
    fig = Figure(figsize=style.inches(style.page_mm(), grid.height))
    outlines = evidence.strokes
    for i, (_, image) in enumerate(chosen.iterrows()):
        row = int(image["row"])
        picture = evidence.picture(row)
        unread = picture is None
        if picture is None:
            picture = compose.blank(*run.preprocessing.size)
        first = grid.axes(fig, i, 0)
        first.imshow(picture, interpolation="none")
        if unread:
            _announce(first, "file not found")
        for name, mask in masks[i].items():
            _outline(first, mask, outlines[name])
        _describe(first, image, str(run.predictions["image_id"].iloc[row]))
        for j, method in enumerate(run.methods):
            native = np.asarray(run.map_array(method)[row], np.float32)
            _draw_map(grid, fig, i, j, picture, native)
    _head(fig, grid, run)
    _foot(fig, grid, {name: outlines[name] for name in present})
    return fig


def rows_shown(run: RunFolder, evidence: Evidence) -> pd.DataFrame:
    """Choose the images: one of each label and outcome, in order of label, correct ones first.

    Without labels, of each predicted class. See `choose.ranked` for the columns.
    """
    frame = ranked(run, evidence)
    labelled = frame[frame["label"] != ""]
    if labelled.empty:
        return in_turn(frame, ["predicted"], MOST_ROWS).sort_values("predicted", kind="stable")
    best = labelled.assign(wrong=~labelled["correct"].astype(bool))
    best = best.drop_duplicates(["label", "wrong"]).sort_values(["label", "wrong"])
    return best.head(MOST_ROWS)


@dataclass(frozen=True)
class _Grid:
    """Where the panels are, in mm from the top left corner."""

    rows: int
    foot: float
    native: bool
    cell_w: float
    cell_h: float

    @classmethod
    def of(cls, run: RunFolder, rows: int, outlines: list[str]) -> _Grid:
        methods = len(run.methods)
        native = methods <= _MOST_WITH_NATIVE
        columns = 1 + methods * (2 if native else 1)
        height, width = run.preprocessing.size
        cell_w = min(28.0, (style.page_mm() - _LABELS_MM) / columns - _GAP_MM)
        foot = max(11.0, 5.0 + _LINE_MM * math.ceil(len(outlines) / _legend_columns(outlines)))
        return cls(rows, foot, native, cell_w, cell_w * height / width)

    @property
    def height(self) -> float:
        return _HEAD_MM + self.rows * (self.cell_h + _GAP_MM) + self.foot

    def left(self, column: int) -> float:
        return _LABELS_MM + column * (self.cell_w + _GAP_MM)

    def axes(self, fig: Figure, row: int, column: int) -> Axes:
        top = _HEAD_MM + row * (self.cell_h + _GAP_MM)
        ax = fig.add_axes(
            (
                self.left(column) / style.page_mm(),
                1 - (top + self.cell_h) / self.height,
                self.cell_w / style.page_mm(),
                self.cell_h / self.height,
            )
        )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        return ax


def _draw_map(
    grid: _Grid,
    fig: Figure,
    row: int,
    method: int,
    picture: NDArray[np.uint8],
    native: NDArray[np.float32],
) -> None:
    """Draw one method's overlay and, where there is room, its native map."""
    height, width = picture.shape[:2]
    why = compose.defect(native)
    first = 1 + (2 if grid.native else 1) * method
    panels = [grid.axes(fig, row, first + k) for k in range(2 if grid.native else 1)]
    if why:
        for ax in panels:
            ax.imshow(compose.greyed(picture), interpolation="none")
            _announce(ax, why)
        return
    colours = compose.colourise(compose.scaled(native, height, width))
    panels[0].imshow(compose.blend(picture, colours, _OPACITY), interpolation="none")
    if grid.native:
        positive = np.clip(native, 0, None)
        panels[1].imshow(
            positive / positive.max(), cmap=style.MAP_COLOURS, vmin=0, vmax=1,
            interpolation="none", extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )  # fmt: skip


def _announce(ax: Axes, words: str) -> None:
    """Hatch a panel and say in words why it shows nothing."""
    ax.add_patch(
        Rectangle((0, 0), 1, 1, transform=ax.transAxes, facecolor="none", edgecolor="#6b6b6b",
                  hatch="////", linewidth=0)
    )  # fmt: skip
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", fontsize=style.pt(7),
            color="#1b1b1b", bbox=box)  # fmt: skip


def _outline(ax: Axes, mask: NDArray[np.bool_], stroke: style.Stroke) -> None:
    """Outline a mask (h, w) in its colour, with a dark edge that shows on any skin."""
    # A margin of zeros closes outlines at the picture's edge.
    padded = np.pad(_main_parts(compose.envelope(mask)), 1).astype(np.float32)
    y, x = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
    lines = ax.contour(x, y, padded, levels=[0.5], colors=[stroke.colour], linewidths=0.7,
                       linestyles=[stroke.dash])  # fmt: skip
    lines.set_path_effects(_EDGE)
    ax.set_xlim(-0.5, mask.shape[1] - 0.5)
    ax.set_ylim(mask.shape[0] - 0.5, -0.5)


def _main_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out the specks of a mask (h, w), whose outlines would hide what they are around."""
    _, number, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the ground
    return np.asarray((areas >= max(1, _SPECK * areas.max()))[number])


def _describe(ax: Axes, image: pd.Series, image_id: str) -> None:
    known = bool(image["label"])
    lines = [
        shortened(image_id, 20),
        f"label {shortened(readable(image['label']), 14)}" if known else "no label",
        f"predicted {shortened(readable(image['predicted']), 12)}",
        f"probability {image['confidence']:.2f}",
    ]
    if known:
        lines.append("correct" if image["correct"] else "wrong")
    ax.text(-0.06, 0.5, "\n".join(lines), transform=ax.transAxes, ha="right", va="center",
            fontsize=style.pt(6.2), linespacing=1.45)  # fmt: skip


def _head(fig: Figure, grid: _Grid, run: RunFolder) -> None:
    """Write over each column what it shows."""
    heads = ["image and masks"]
    for method in run.methods:
        height, width = run.map_array(method).shape[1:]
        heads.append(method)
        if grid.native:
            heads.append(f"{method} {height}×{width}")
    size = 7 if len(heads) <= 7 else 5
    for column, text in enumerate(heads):
        x = (grid.left(column) + grid.cell_w / 2) / style.page_mm()
        y = 1 - (_HEAD_MM - 1.5) / grid.height
        fig.text(x, y, text, ha="center", va="bottom", fontsize=size)


def _legend_name(feature: str) -> str:
    return shortened(readable(feature), 18)


def _legend_columns(features: list[str]) -> int:
    """Return how many names of these lengths stand beside each other on the page."""
    longest = max((len(_legend_name(f)) for f in features), default=0)
    column_mm = 7.5 + 1.3 * longest  # stroke and gaps, and a letter of 6.2 points
    return max(1, int((style.page_mm() - _LABELS_MM - _LEGEND_MM) / column_mm))


def _foot(fig: Figure, grid: _Grid, outlines: dict[str, style.Stroke]) -> None:
    """Put the scale of the maps and the legend of the outlines below."""
    bar = fig.add_axes(
        (_LABELS_MM / style.page_mm(), (grid.foot - 5.0) / grid.height, 28 / style.page_mm(),
         2.0 / grid.height)
    )  # fmt: skip
    scale = ScalarMappable(cmap=colormaps[style.MAP_COLOURS])
    colours = fig.colorbar(scale, cax=bar, orientation="horizontal", ticks=[0, 1])
    colours.ax.set_xticklabels(["0", "1"], fontsize=style.pt(6.2))
    bar.text(-0.06, 0.5, "share of each\nmap's maximum", transform=bar.transAxes, ha="right",
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
        corner = ((_LABELS_MM + _LEGEND_MM) / style.page_mm(), (grid.foot - 2.0) / grid.height)
        fig.legend(handles=handles, loc="upper left", ncols=_legend_columns(list(outlines)),
                   fontsize=style.pt(6.2), handlelength=1.6, columnspacing=1.2, labelspacing=0.4,
                   borderaxespad=0, bbox_to_anchor=corner)  # fmt: skip
