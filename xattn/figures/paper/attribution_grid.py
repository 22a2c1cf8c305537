"""Images, their masks and the maps of every method, side by side."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.choose import in_turn, ranked
from xattn.figures.drawing.grid import (
    Grid,
    describe,
    draw_foot,
    draw_image,
    draw_native,
    draw_overlay,
    outline,
)
from xattn.figures.numbers import predicted_words, readable, shortened
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 8
"""Images shown; more would not fit a page."""

_MOST_WITH_NATIVE = 3  # with more methods, the overlays alone fill the page


@figure(
    "attribution-grid",
    meaning=(
        "For each label, one image classified correctly and one wrongly (of those, the one with "
        "the most annotated features, then the most confident): masks outlined, each method's map "
        "over the image and at its own resolution, every map scaled to its own maximum; a hatched "
        "panel is a map without positive attribution."
    ),
)
def draw_attribution_grid(run: RunFolder) -> Figure:
    """Draw the chosen images as rows, and per method its overlay and its native map as columns.

    Raises:
        NothingToDrawError: the run has no maps.
    """
    if not run.methods:
        raise NothingToDrawError(f"Expected maps in {run.path}, but got predictions alone")
    sources = RunSources(run)
    chosen = rows_shown(run, sources)
    masks = sources.masks(chosen["row"].tolist())
    present = [name for name in sources.masked if any(name in found for found in masks)]
    native = len(run.methods) <= _MOST_WITH_NATIVE
    columns = 1 + len(run.methods) * (2 if native else 1)
    grid = Grid.of(run, columns, len(chosen), present, note=bool(run.spread_evenly))
    fig = Figure(figsize=style.inches(grid.width, grid.height))
    outlines = sources.strokes
    cells = {method: run.cells(method) for method in run.methods}
    for i, (_, facts) in enumerate(chosen.iterrows()):
        row = int(facts["row"])
        first = grid.axes(fig, i, 0)
        image = draw_image(first, sources.image(row), run.preprocessing.size)
        for name, mask in masks[i].items():
            outline(first, mask, outlines[name])
        describe_image(first, facts, str(run.predictions["image_id"].iloc[row]))
        column = 1
        for method in run.methods:
            found = np.asarray(run.map_array(method)[row], np.float32)
            draw_overlay(grid.axes(fig, i, column), image, found, cells[method])
            if native:
                draw_native(grid.axes(fig, i, column + 1), image, found, cells[method])
            column += 1 + native
    grid.head(fig, _heads(run, native))
    draw_foot(fig, grid, {name: outlines[name] for name in present}, [run])
    return fig


def _heads(run: RunFolder, native: bool) -> list[str]:
    heads = ["image and masks"]
    for method in run.methods:
        height, width = run.map_array(method).shape[1:]
        heads += [method, f"{method} {height}×{width}"] if native else [method]
    return heads


def rows_shown(
    run: RunFolder, sources: RunSources, among: Collection[str] | None = None
) -> pd.DataFrame:
    """Choose the images: one of each label and outcome, in order of label, correct ones first.

    Without labels, of each predicted class. See `choose.ranked` for the columns.

    Args:
        among: identifiers of the images to choose from, default all.
    """
    frame = ranked(run, sources)
    if among is not None:
        ids = run.predictions["image_id"].astype(str)
        frame = frame[ids.isin(list(among)).to_numpy()[frame["row"]]]
    labelled = frame[frame["label"] != ""]
    if labelled.empty:
        return in_turn(frame, ["predicted"], MOST_ROWS).sort_values("predicted", kind="stable")
    best = labelled.assign(wrong=~labelled["correct"].astype(bool))
    best = best.drop_duplicates(["label", "wrong"]).sort_values(["label", "wrong"])
    return best.head(MOST_ROWS)


def describe_image(ax: Axes, image: pd.Series, image_id: str) -> None:
    """Write left of a panel what the model said of the image; `image` as of `choose.ranked`."""
    known = bool(image["label"])
    lines = [
        shortened(image_id, 20),
        f"label {shortened(readable(image['label']), 14)}" if known else "no label",
        predicted_words(image["predicted"]),
        f"probability {image['confidence']:.2f}",
    ]
    if known and image["correct"] is not None:
        lines.append("correct" if image["correct"] else "wrong")
    describe(ax, lines)
