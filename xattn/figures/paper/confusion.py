"""Which class is taken for which: a matrix of labels and predictions for each split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xattn.figures import style
from xattn.figures.drawing.panels import letter
from xattn.figures.numbers import readable, shortened
from xattn.figures.paper.performance_seeds import SPLIT_NAMES
from xattn.figures.registry import figure
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 20
"""More do not fit a panel; those of most images are shown then, and the rest is counted."""

_COLOURS = LinearSegmentedColormap.from_list("fraction", ["#fdfdfd", "#7fb8de", "#0b4f80"])
_INK_ON_CELL = "#1a1a1a"  # stays as it is on dark screens, as the cells do
_MOST_WITH_COUNTS = 10  # classes for which a cell holds two lines


@figure(
    "confusion",
    meaning=(
        "Images of each label (rows) by predicted class (columns): the colour and the upper number "
        "are per cent of the label's images, the number below counts them, and the last row is "
        "what the same predictions give when assigned to images at random."
    ),
    tables=("confusion",),
)
def draw_confusion(run: RunFolder) -> Figure:
    """Draw a panel a split."""
    table = run.table("confusion").astype({"label": str, "predicted": str})
    splits = list(dict.fromkeys(table["split"]))
    sizes = table.drop_duplicates(["split", "label"]).groupby("label", sort=False)["images"].sum()
    most = set(sizes.sort_values(ascending=False, kind="stable").index[:MOST_CLASSES])
    names = [name for name in sizes.index if name in most]
    width = style.text_mm() if len(splits) == 1 and len(names) > 3 else style.page_mm()
    width = style.column_mm() if len(splits) == 1 and len(names) <= 3 else width
    side = min(width / len(splits) - 24, 8.0 + 11.0 * (len(names) + 1))
    height = min(220.0, side + 42)
    fig = Figure(figsize=style.inches(width, height), layout="constrained")
    panels = fig.subplots(1, len(splits), squeeze=False)[0]
    for ax, split in zip(panels, splits, strict=True):
        own = table[table["split"] == split]
        _draw(ax, own, names, 72 / 25.4 * side / (len(names) + 1))
        ax.set_title(SPLIT_NAMES.get(str(split), str(split)))
    letter(panels)
    panels[0].set_ylabel("label (images)")
    bar = fig.colorbar(ScalarMappable(Normalize(0, 100), _COLOURS), ax=list(panels),
                       location="bottom", aspect=40, shrink=0.6, pad=0.02)  # fmt: skip
    bar.set_label("per cent of the label's images")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    left = len(sizes) - len(names)
    if left:
        fig.suptitle(f"The {len(names)} classes of most images; {left} more in the table",
                     fontsize=style.pt(7))  # fmt: skip
    return fig


def _draw(ax: Axes, table: pd.DataFrame, names: list[str], points: float) -> None:
    """Draw the cells of a split, and below them what chance gives; `points` is a cell's side."""
    n, both = len(names), len(names) <= _MOST_WITH_COUNTS
    cells = table[table["label"].isin(names) & table["predicted"].isin(names)]
    images = cells.drop_duplicates("label").set_index("label")["images"]
    chance = cells.drop_duplicates("predicted").set_index("predicted")["chance"]
    for row in cells.to_dict("records"):
        x, y = names.index(row["predicted"]), names.index(row["label"])
        counted = f"\n{row['n']:,}" if both else ""
        _cell(ax, x, y, float(row["value"]), counted, points, bold=x == y)
    for name, value in chance.items():
        _cell(ax, names.index(str(name)), n + 0.25, float(value), "", points)
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_ylim(n + 0.8, -0.5)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    words = [shortened(readable(name), 16) for name in names]
    ax.set_xticks(range(n), words, rotation=90 if max(map(len, words)) > 4 else 0)
    rows = [f"{word} ({int(images[name]):,})" for word, name in zip(words, names, strict=True)]
    ax.set_yticks([*range(n), n + 0.25], [*rows, "by chance"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted")


def _cell(
    ax: Axes, x: float, y: float, value: float, counted: str, points: float, bold: bool = False
) -> None:
    """Draw a cell; one of a label without images stays empty."""
    if value != value:
        return
    colour = _COLOURS(value)
    ax.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=colour, linewidth=0))
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 0.5
    ax.text(
        x, y, f"{100 * value:.0f}{counted}", ha="center", va="center", linespacing=1.1,
        fontsize=style.pt(min(7.0, max(5.0, points / 3.2))),
        fontweight="bold" if bold else "normal", color="#fefefe" if dark else _INK_ON_CELL,
    )  # fmt: skip
