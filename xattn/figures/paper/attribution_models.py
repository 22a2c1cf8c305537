"""The same images under several models: a row a model, a column a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xattn.errors import RunError
from xattn.figures import style
from xattn.figures.choose import ranked
from xattn.figures.drawing.grid import (
    LABELS_MM,
    Grid,
    describe,
    draw_foot,
    draw_image,
    draw_nothing,
    draw_overlay,
    outline,
)
from xattn.figures.folders import run_names
from xattn.figures.numbers import predicted_words, readable, shortened
from xattn.figures.paper.attribution_grid import rows_shown
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 9
"""Images times models that fit a page."""
_MOST_IMAGES = 4
_HEADING_MM = 4.6


@figure(
    "attribution-models",
    meaning=(
        "The same images under several models: the image with its masks outlined, and each "
        "method's map over it, one row a model, every map scaled to its own maximum; of each label "
        "one image that the first model classifies correctly and one wrongly, of those the one "
        "with the most annotated features, then the most confident."
    ),
    many=True,
)
def draw_attribution_models(runs: Sequence[RunFolder]) -> Figure:
    """Draw a group of rows per image that all runs have, chosen by the first run's predictions.

    Runs without a map, as `xattn evaluate` leaves them, have no row.

    Raises:
        RunError: there are more models than a page holds.
        UsageError: one run is named twice.
        NothingToDrawError: no run has maps, or the runs have no image in common.
    """
    explained = [run for run in runs if run.methods]
    if not explained:
        raise NothingToDrawError(f"Expected maps in {runs[0].path}, but got predictions alone")
    runs = explained
    if len(runs) > MOST_ROWS:
        raise RunError(f"Expected at most {MOST_ROWS} runs as rows, but got {len(runs)}")
    methods = list(dict.fromkeys(method for run in runs for method in run.methods))
    names = run_names(list(runs))
    sources = [RunSources(run) for run in runs]
    rows = [_rows(run) for run in runs]
    chosen = _chosen(runs[0], sources[0], rows)
    masks = sources[0].masks(chosen["row"].tolist())
    present = [name for name in sources[0].masked if any(name in found for found in masks)]
    outlines = sources[0].strokes
    grid = Grid.of(runs[0], 1 + len(methods), len(chosen) * len(runs), present, len(runs),
                   _HEADING_MM, note=any(run.spread_evenly for run in runs))  # fmt: skip
    fig = Figure(figsize=style.inches(grid.width, grid.height))
    facts = [ranked(run, known).set_index("row") for run, known in zip(runs, sources, strict=True)]
    for i, (image_id, ranks) in enumerate(chosen.iterrows()):
        _title(fig, grid, i * len(runs), str(image_id), ranks)
        for j, run in enumerate(runs):
            row = rows[j][str(image_id)]
            first = grid.axes(fig, i * len(runs) + j, 0)
            image = draw_image(first, sources[j].image(row), run.preprocessing.size)
            if j == 0:  # masks are in the view of the first model
                for name, mask in masks[i].items():
                    outline(first, mask, outlines[name])
            _describe(first, names[j], facts[j].loc[[row]].iloc[0])
            for column, method in enumerate(methods, 1):
                ax = grid.axes(fig, i * len(runs) + j, column)
                if method in run.methods:
                    native = np.asarray(run.map_array(method)[row], np.float32)
                    draw_overlay(ax, image, native, run.cells(method))
                else:
                    draw_nothing(ax, image, "no such maps")
    grid.head(fig, ["image and masks", *methods])
    draw_foot(fig, grid, {name: outlines[name] for name in present}, runs)
    return fig


def _rows(run: RunFolder) -> dict[str, int]:
    return {str(image): row for row, image in enumerate(run.predictions["image_id"])}


def _chosen(run: RunFolder, sources: RunSources, rows: list[dict[str, int]]) -> pd.DataFrame:
    """Choose among the images of all runs as `attribution-grid` does; indexed by image_id."""
    common = set.intersection(*(set(one) for one in rows))
    if not common:
        raise NothingToDrawError("Expected runs with images in common, but got none")
    shown = rows_shown(run, sources, common)
    ids = run.predictions["image_id"].astype(str).to_numpy()
    shown = shown.set_axis(pd.Index(ids[shown["row"].to_numpy()]), axis=0)
    return shown.head(max(1, min(_MOST_IMAGES, MOST_ROWS // len(rows))))


def _title(fig: Figure, grid: Grid, row: int, image_id: str, image: pd.Series) -> None:
    label = f", label {readable(image['label'])}" if image["label"] else ", no label"
    fig.text(LABELS_MM / grid.width, 1 - (grid.top(row) - 1.0) / grid.height,
             shortened(image_id, 40) + label, fontsize=style.pt(6.5), va="bottom")  # fmt: skip


def _describe(ax: Axes, name: str, image: pd.Series) -> None:
    lines = [
        predicted_words(image["predicted"]),
        f"probability {image['confidence']:.2f}",
    ]
    if image["label"] and image["correct"] is not None:
        lines.append("correct" if image["correct"] else "wrong")
    describe(ax, lines, bold=shortened(name, 20))
