"""The report's pictures: few enough for one file, chosen by rule, each map a layer of its own."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from xattn.figures import compose
from xattn.figures.choose import RULE, in_turn, ranked
from xattn.figures.evidence import Evidence
from xattn.figures.style import Stroke
from xattn.runs import RunFolder

MOST_BYTES = 10_000_000
"""Pictures stop here, whatever was asked for, so that the page stays under 15 MB."""

_SIDE = 256  # longest side of a picture in pixels
_QUALITY = 80
_FRAME = 2_000  # bytes of markup around the pictures of one tile


@dataclass(frozen=True)
class Layer:
    """One method's map over an image.

    Attributes:
        method: its name.
        uri: the coloured map as a data URI, "" if it has a defect.
        defect: why there is no picture, else "".
    """

    method: str
    uri: str
    defect: str


@dataclass(frozen=True)
class Outline:
    """The outline of one mask as an SVG path on the view's grid."""

    feature: int
    name: str
    path: str


@dataclass(frozen=True)
class Tile:
    """One image of the gallery with all that is drawn over it.

    Attributes:
        image_id, label, predicted: as in the predictions; label is "" where unknown.
        outcome: "correct", "wrong" or "unknown".
        confidence: probability of the predicted class.
        aspect: width / height of the part the model saw, in the original image.
        picture: data URI, "" if the file cannot be read.
        layers: one per method.
        outlines: one per mask that is not empty, narrow gaps closed.
    """

    image_id: str
    label: str
    predicted: str
    outcome: str
    confidence: float
    aspect: float
    picture: str
    layers: list[Layer]
    outlines: list[Outline]

    @property
    def size(self) -> int:
        """Number of bytes this tile adds to the page."""
        texts = [self.picture, *(layer.uri for layer in self.layers)]
        return _FRAME + sum(map(len, texts)) + sum(len(o.path) for o in self.outlines)


@dataclass(frozen=True)
class Gallery:
    """The tiles, and what was left out of how many.

    Attributes:
        tiles: in the order chosen.
        features: name and stroke of each feature that some tile outlines, by its number.
        total: images of the run.
        asked: images asked for.
        grid: (height, width) of the view.
        rule: how they were chosen, in words.
    """

    tiles: list[Tile]
    features: dict[int, tuple[str, Stroke]]
    total: int
    asked: int
    grid: tuple[int, int]
    rule: str = RULE


def make_gallery(run: RunFolder, evidence: Evidence, n: int) -> Gallery:
    """Choose n images and draw their layers, as far as `MOST_BYTES` allows."""
    chosen = in_turn(ranked(run, evidence), ["label", "predicted"], max(n, 0))
    tiles: list[Tile] = []
    used = 0
    for tile in _tiles(run, evidence, chosen):
        used += tile.size
        if used > MOST_BYTES:
            break
        tiles.append(tile)
    shown = {o.feature for tile in tiles for o in tile.outlines}
    features = {
        i: (name, evidence.strokes[name]) for i, name in enumerate(evidence.masked) if i in shown
    }
    grid = run.preprocessing.size
    return Gallery(tiles, features, len(run.predictions), len(chosen), grid)


def _tiles(run: RunFolder, evidence: Evidence, chosen: pd.DataFrame) -> Iterator[Tile]:
    rows = chosen["row"].to_numpy(np.intp)
    if not len(rows):
        return
    order = np.argsort(rows)
    maps = {}
    for method in run.methods:  # one read each: a chunk of the store holds many maps
        stack = np.empty((len(rows), *run.map_array(method).shape[1:]), np.float32)
        stack[order] = run.map_array(method).oindex[rows[order]]
        maps[method] = stack
    masks = evidence.masks(rows.tolist())
    for i, (_, image) in enumerate(chosen.iterrows()):
        row = int(rows[i])
        box = run.view(row).box
        picture = evidence.picture(row)
        yield Tile(
            image_id=str(run.predictions["image_id"].iloc[row]),
            label=str(image["label"]),
            predicted=str(image["predicted"]),
            outcome={True: "correct", False: "wrong"}.get(image["correct"], "unknown"),
            confidence=float(image["confidence"]),
            aspect=round((box[2] - box[0]) / (box[3] - box[1]), 4),
            picture="" if picture is None else as_uri(picture),
            layers=[_layer(m, stack[i], run.preprocessing.size) for m, stack in maps.items()],
            outlines=[
                Outline(evidence.masked.index(name), name, outline_path(compose.envelope(mask)))
                for name, mask in masks[i].items()
            ],
        )


def _layer(method: str, native: NDArray[np.float32], grid: tuple[int, int]) -> Layer:
    defect = compose.defect(native)
    if defect:
        return Layer(method, "", defect)
    return Layer(method, as_uri(compose.colourise(compose.scaled(native, *grid))), "")


def as_uri(picture: NDArray[np.uint8]) -> str:
    """Encode a picture (h, w, 3) as a WebP data URI, its longer side at most 256 pixels."""
    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def outline_path(mask: NDArray[np.bool_]) -> str:
    """Trace the borders of a mask (h, w), holes included, as the `d` of an SVG path.

    Coordinates are in half pixels of the view, 0 to 2 w and 0 to 2 h, simplified to within one.
    """
    # Enlarged twice, so that the line runs along the pixels' edges and not through their centres.
    large = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    found, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    pieces = []
    for contour in found:
        points = cv2.approxPolyDP(contour, 1.5, True)
        points = contour if len(points) < 3 else points  # a spot must not shrink to nothing
        pieces.append("M" + "L".join(f"{x} {y}" for x, y in points.reshape(-1, 2).tolist()) + "Z")
    return "".join(pieces)
