"""Two methods' maps of the same images, such as Grad-CAM against attention: where they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from xattn.analysis.alignment.agreement_ranking import (
    RankedImages,
    method_pairs,
    rank_by_agreement,
)
from xattn.figures import style
from xattn.figures.drawing.grid import (
    Grid,
    describe,
    draw_foot,
    draw_image,
    draw_overlay,
    outline,
)
from xattn.figures.numbers import (
    count,
    fixed,
    listed,
    predicted_words,
    readable,
    shortened,
    text_of,
)
from xattn.figures.registry import NothingToDrawError, figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder
from xattn.runs.again import run_again

if TYPE_CHECKING:
    import pandas as pd

    from xattn.analysis.alignment.agreement_ranking import RankedExample

MOST_PAIRS = 3
"""Pairs of methods that fit a page."""

_HEADING_MM, _NOTE_MM = 11.4, 4.5


@figure(
    "agreement-maps",
    meaning=(
        "Two methods' maps of the image on which they agree most, of the one at the median and of "
        "the one on which they agree least, by rank correlation over pixels, of all images whose "
        "maps are neither flat nor defective: masks outlined, each map scaled to its own maximum, "
        "and beside each correlation what the other method's maps of other images of the same "
        "label give by chance."
    ),
)
def draw_agreement_maps(run: RunFolder) -> Figure:
    """Draw a group of three rows per pair of methods, Grad-CAM with attention first.

    Raises:
        NothingToDrawError: there are less than two methods, or no image has maps to compare.
    """
    sources = RunSources(run)
    every = method_pairs(run.methods)
    if not every:
        raise NothingToDrawError(
            f"Expected maps of two methods or more in {run.path}, but got {listed(run.methods)}"
            f"; make more with {run_again(run.path, last=True, more=('--method', 'layercam'))}"
        )
    compared = _first_comparable(run, every, sources.labels)
    if not compared:
        raise NothingToDrawError(
            f"Expected images with maps to compare in {run.path}, but in every pair of methods one "
            "is flat or defective"
        )
    rows = [example.row for pair in compared for example in pair.examples]
    masks = dict(zip(rows, sources.masks(rows), strict=True))
    present = [name for name in sources.masked if any(name in found for found in masks.values())]
    aligned = max(len(pair.examples) for pair in compared)
    note = f"{len(compared)} of {count(len(every), 'pair')} of methods" * (
        len(compared) < len(every)
    )
    grid = Grid.of(run, 3, aligned * len(compared), present, aligned, _HEADING_MM,
                   _NOTE_MM if note else 0.0, note=bool(run.spread_evenly))  # fmt: skip
    fig = Figure(figsize=style.inches(grid.width, grid.height))
    if note:
        _write(fig, grid, grid.above - 1.0, note)
    for i, pair in enumerate(compared):
        _title(fig, grid, i * aligned, pair)
        for j, example in enumerate(pair.examples):
            row = i * aligned + j
            first = grid.axes(fig, row, 0)
            image = draw_image(first, sources.image(example.row), run.preprocessing.size)
            for name, mask in masks[example.row].items():
                outline(first, mask, sources.strokes[name])
            describe(first, _facts(run, example, sources.labels), _agreement(example))
            for column, method in enumerate(pair.methods, 1):
                native = np.asarray(run.map_array(method)[example.row], np.float32)
                draw_overlay(grid.axes(fig, row, column), image, native, run.cells(method))
    draw_foot(fig, grid, {name: sources.strokes[name] for name in present}, [run])
    return fig


def _first_comparable(
    run: RunFolder, every: list[tuple[str, str]], label: pd.Series[str]
) -> list[RankedImages]:
    found: list[RankedImages] = []
    for pair in every:
        if len(found) == MOST_PAIRS:
            break
        compared = rank_by_agreement(run, pair, label)
        found += [compared] if compared.used else []
    return found


def _agreement(example: RankedExample) -> str:
    return f"{example.place}: {fixed(example.correlation)}"


def _facts(run: RunFolder, example: RankedExample, label: pd.Series[str]) -> list[str]:
    image = run.predictions.iloc[example.row]
    said = text_of(image["predicted"])
    known = str(label.iloc[example.row])
    return [
        f"by chance {fixed(example.chance)}",
        shortened(str(image["image_id"]), 20),
        f"label {shortened(readable(known), 14)}" if known else "no label",
        predicted_words(said),
    ]


def _title(fig: Figure, grid: Grid, row: int, pair: RankedImages) -> None:
    """Write over a group how many images it speaks for, and how their maps agree in all."""
    a, b = (shortened(readable(method), 18) for method in pair.methods)
    number = fixed(np.nanmean(pair.correlations).item())
    left_out = len(pair.correlations) - pair.used
    kept = f"{count(pair.used, 'image')} compared"
    if left_out:
        kept += f"; {left_out:,} left out, whose map by one of the two is flat or defective"
    top = grid.top(row)
    _write(fig, grid, top - 8.1, f"{a} / {b}: mean rank correlation {number}, by chance "
           f"{fixed(pair.chance)}", "bold")  # fmt: skip
    _write(fig, grid, top - 5.0, kept)
    grid.head(fig, ["image and masks", a, b], row)


def _write(fig: Figure, grid: Grid, bottom: float, words: str, weight: str = "normal") -> None:
    fig.text(1.0 / grid.width, 1 - bottom / grid.height, words, fontsize=style.pt(6.2),
             fontweight=weight, va="bottom")  # fmt: skip
