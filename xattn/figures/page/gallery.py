"""The report's images: few enough for one file, chosen by rule, each map a layer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.choose import chosen
from xattn.figures.drawing import compose
from xattn.figures.drawing.thumbnails import as_uri, outline_path, seen_part
from xattn.figures.style import Stroke
from xattn.images import Cells

MOST_BYTES = 9_000_000
"""Thumbnails stop here, whatever was asked for, so that the page stays under 15 MB."""

_FRAME = 2_000  # bytes of markup around the thumbnails of one tile
_BATCH = 16  # images whose maps and masks are read together


@dataclass(frozen=True)
class Layer:
    """One map over an image.

    Attributes:
        model: number of the run.
        method: number of the method, among those of all runs.
        name: model, where there are several, and method.
        uri: the coloured map as a data URI, "" if it has a defect.
        defect: why the map cannot be drawn, else "".
    """

    model: int
    method: int
    name: str
    uri: str
    defect: str


@dataclass(frozen=True)
class Outline:
    """The outline of one mask as an SVG path on the view's grid."""

    feature: int
    name: str
    path: str


@dataclass(frozen=True)
class Stage:
    """A part of an image that one or more models saw, with all that is drawn over it.

    Attributes:
        aspect: width / height of the part, in the original image.
        grid: (height, width) of the masks.
        thumbnail: data URI, "" if the file cannot be read.
        layers: one per model and method.
        outlines: one per mask that is not empty, narrow gaps closed.
    """

    aspect: float
    grid: tuple[int, int]
    thumbnail: str
    layers: list[Layer]
    outlines: list[Outline]


@dataclass(frozen=True)
class Tile:
    """One image of the gallery.

    Attributes:
        image: its place among the images that all runs hold.
        image_id: its name.
        stages: one, or more where the models saw different parts.
    """

    image: int
    image_id: str
    stages: list[Stage]

    @property
    def size(self) -> int:
        """Number of bytes this tile adds to the page."""
        texts = [t for s in self.stages for t in (s.thumbnail, *(layer.uri for layer in s.layers))]
        paths = [o.path for s in self.stages for o in s.outlines]
        return _FRAME + sum(map(len, texts)) + sum(map(len, paths))


@dataclass(frozen=True)
class Gallery:
    """The tiles, and what was left out of how many.

    Attributes:
        tiles: in the order chosen.
        outlined: number of each feature that some tile outlines -> name and stroke.
        total: images of the runs.
        asked: images asked for.
        rule: how they were chosen, in words.
    """

    tiles: list[Tile]
    outlined: dict[int, tuple[str, Stroke]]
    total: int
    asked: int
    rule: str


def make_gallery(aligned: AlignedRuns, n: int, most: int | None = None) -> Gallery:
    """Choose n images and draw their layers, as far as `most` bytes (`MOST_BYTES`) allow."""
    most = MOST_BYTES if most is None else most
    images, rule = chosen(aligned, max(n, 0))
    tiles: list[Tile] = []
    used = 0
    for tile in _tiles(aligned, images):
        used += tile.size
        if used > most:
            break
        tiles.append(tile)
    shown = {o.feature for tile in tiles for stage in tile.stages for o in stage.outlines}
    outlined = {
        aligned.features.index(name): (name, stroke) for name, stroke in aligned.outlined.items()
    }
    return Gallery(
        tiles,
        {i: drawn for i, drawn in outlined.items() if i in shown},
        aligned.rows.shape[1],
        len(images),
        rule,
    )


def _tiles(aligned: AlignedRuns, images: NDArray[np.intp]) -> Iterator[Tile]:
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        rows = aligned.rows[:, some]
        maps = [
            {method: _maps(aligned, run, method, rows[run]) for method in folder.methods}
            for run, folder in enumerate(aligned.runs)
        ]
        masks = [e.masks(rows[run].tolist()) for run, e in enumerate(aligned.sources)]
        for place, image in enumerate(some):
            views = _views(aligned, int(image))
            stages = [
                _stage(aligned, models, int(image),
                       [{m: stack[place] for m, stack in maps[run].items()} for run in models],
                       [masks[run][place] for run in models])
                for models in views
            ]  # fmt: skip
            yield Tile(int(image), aligned.ids[image], stages)


def _maps(
    aligned: AlignedRuns, run: int, method: str, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Read the maps of some rows, (len(rows), h, w); a chunk of the store holds many."""
    stored = aligned.runs[run].map_array(method)
    wanted, back = np.unique(rows, return_inverse=True)
    return np.asarray(stored.take(wanted), np.float32)[back]


def _views(aligned: AlignedRuns, image: int) -> list[list[int]]:
    """Gather the runs that saw the same part of an image."""
    found: dict[tuple[float, ...], list[int]] = {}
    for run, folder in enumerate(aligned.runs):
        box = folder.view(int(aligned.rows[run, image])).box
        found.setdefault(tuple(round(v, 3) for v in box), []).append(run)
    return list(found.values())


def _stage(
    aligned: AlignedRuns,
    models: list[int],
    image: int,
    maps: list[dict[str, NDArray[np.float32]]],
    masks: list[dict[str, NDArray[np.bool_]]],
) -> Stage:
    first = aligned.runs[models[0]]
    row = int(aligned.rows[models[0], image])
    box = first.view(row).box
    thumbnail = seen_part(first, row)
    # Masks of whichever run has them: they are the image's, not the model's.
    which = next((i for i, found in enumerate(masks) if found), 0)
    grid = aligned.runs[models[which]].preprocessing.size
    several = len(aligned.runs) > 1
    return Stage(
        aspect=round((box[2] - box[0]) / (box[3] - box[1]), 4),
        grid=grid,
        thumbnail="" if thumbnail is None else as_uri(thumbnail),
        layers=[
            _layer(model, aligned.methods.index(method),
                   f"{aligned.names[model]}, {method}" if several else method, native,
                   aligned.runs[model].cells(method), grid)
            for model, found in zip(models, maps, strict=True)
            for method, native in found.items()
        ],
        outlines=[
            Outline(aligned.features.index(name), name, outline_path(compose.envelope(mask)))
            for name, mask in masks[which].items()
        ],
    )  # fmt: skip


def _layer(
    model: int,
    method: int,
    name: str,
    native: NDArray[np.float32],
    cells: Cells,
    grid: tuple[int, int],
) -> Layer:
    defect = compose.defect(native)
    if defect:
        return Layer(model, method, name, "", defect)
    colours = compose.colourise(compose.scaled(native, cells, *grid))
    return Layer(model, method, name, as_uri(colours), "")
