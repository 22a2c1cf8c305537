"""Images as text for a page: thumbnails as data URIs, outlines of masks as SVG paths."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.errors import ImageError
from xattn.images import read_image
from xattn.runs import RunFolder

SIDE = 288
"""Longest side of a thumbnail in pixels."""

_QUALITY = 80


def as_uri(image: NDArray[np.uint8]) -> str:
    """Encode an image (h, w, 3) as a WebP data URI, its longer side at most `SIDE` pixels."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def seen_part(run: RunFolder, row: int) -> NDArray[np.uint8] | None:
    """Read the part of one image that the model saw, uint8 (h, w, 3), or None if there is none.

    In the proportions of the original and no smaller than `SIDE` where the file allows, for people
    to look at: the model's own input may be squashed, and coarser.
    """
    view = run.view(row)
    box = np.asarray(view.box, float)
    reach = SIDE / max(box[2] - box[0], box[3] - box[1])
    try:
        decoded = read_image(
            run.image_path(row),
            enough=lambda w, h: (round(w * reach) + 1, round(h * reach) + 1),
            window=run.preprocessing.window,
            channels=run.preprocessing.channels,
        )
    except ImageError:
        return None
    shown = decoded.image
    across, down = shown.width / decoded.size[0], shown.height / decoded.size[1]
    left, top, right, bottom = np.rint(box * [across, down, across, down]).astype(int).tolist()
    part = shown.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    part.thumbnail((SIDE, SIDE))
    return np.asarray(part)


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
