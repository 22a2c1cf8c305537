"""Shape of the lesion: asymmetry, compactness, fractal dimension, diameter."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import LESIONS
from xattn.stats.arrays import Floats

_BOXES = (32, 23, 16, 11, 8)
"""How many boxes lie along the lesion's longer side, from fine to coarse."""
_OFFSETS = (0.0, 0.5)
"""Grids are moved by so many boxes, since the count depends on where they lie."""
_SMALLEST_SIDE = 2 * max(_BOXES)


def aligned(
    subject: Subject, values: NDArray[np.float32], margin: float = 1.0
) -> NDArray[np.float32]:
    """Turn values (h, w) or (h, w, c) so that the lesion's principal axes lie along the grid.

    Returns:
        A square of odd side about the lesion's centroid, bilinear, 0 beyond the image. Its
        flips are reflections about the two axes.
    """
    offsets = subject.outline - subject.centre
    reach = int(np.ceil(np.hypot(*offsets.T).max() + margin))
    turn = subject.axes.T
    to_image = np.column_stack([turn, subject.centre - turn @ np.full(2, float(reach))])
    side = 2 * reach + 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(values, to_image, (side, side), flags=flags))


@computed_feature(
    "shape_asymmetry",
    unit="1",
    high=1.0,
    whole=True,
    source="Stoecker et al. 1992; Nachbar et al. 1994",
    meaning="fraction of the {lesion} that its mirror image misses, mean over both principal axes",
    domains=LESIONS,
)
def shape_asymmetry(subject: Subject) -> float:
    """Return 1 - |A and mirrored A| / |A|, mean over the mirrors at the two principal axes."""
    turned = aligned(subject, subject.lesion.astype(np.float32)) >= 0.5
    shared = [(turned & turned[::-1]).sum(), (turned & turned[:, ::-1]).sum()]
    return float(1 - np.mean(shared) / turned.sum())


@computed_feature(
    "compactness",
    unit="1",
    high=1.0,
    whole=True,
    source="Golston et al. 1992; Celebi et al. 2007",
    meaning="4 pi area / perimeter squared: 1 for a disc, less the more irregular the border",
    domains=LESIONS,
)
def compactness(subject: Subject) -> float:
    """Return 4 pi A / P^2 of the outline, drawn below pixel size round the blurred mask.

    Counting border pixels, or Crofton's formula in four directions, makes one lesion up to 15 %
    more compact when it is turned; the line at half height of the mask, blurred by a pixel, does
    not know the grid. What the estimate exceeds 1 by is cut off.
    """
    left, top, width, height = cv2.boundingRect(subject.lesion.astype(np.uint8))
    part = subject.lesion[top : top + height, left : left + width]
    smooth = cv2.GaussianBlur(np.pad(part, 4).astype(np.float32), (0, 0), 1.0)
    lines = find_contours(smooth, 0.5)  # type: ignore[no-untyped-call]
    line = max(lines, key=len)  # the outer one: holes have shorter ones
    step = np.diff(line, axis=0)
    area = 0.5 * abs(float((line[:-1, 0] * step[:, 1] - line[:-1, 1] * step[:, 0]).sum()))
    return float(min(1.0, 4 * np.pi * area / np.hypot(*step.T).sum() ** 2))


@computed_feature(
    "fractal_dimension",
    unit="1",
    low=0.0,
    high=2.0,
    whole=True,
    source="Claridge et al. 1992; Cross and Cotton 1992",
    meaning="box-counting dimension of the border: 1 if smooth, more the more ragged",
    domains=LESIONS,
)
def fractal_dimension(subject: Subject) -> float:
    """Return the dimension of the border over boxes of 1/32 to 1/8 of the lesion's longer side.

    Boxes are relative to the lesion, so that its size does not matter.
    """
    extent = np.ptp(subject.outline, axis=0).max() + 1
    if extent < _SMALLEST_SIDE:
        raise UnmeasurableError(
            f"the {subject.words.lesion} is less than {_SMALLEST_SIDE} pixels wide"
        )
    return box_dimension(subject.outline / extent, [1 / n for n in _BOXES])


def box_dimension(points: Floats, sizes: Sequence[float]) -> float:
    """Return the slope of log(number of boxes that hold a point) over log(1 / size of a box).

    Counts are means over grids moved by half a box in either direction or both.

    Args:
        points: (n, 2), nearer to each other than the smallest box.
        sizes: of the boxes, in the unit of the points.
    """
    points = points - points.min(axis=0)
    counts = [_boxes(points / size) for size in sizes]
    return float(np.polyfit(-np.log(sizes), np.log(counts), 1)[0])


def _boxes(points: Floats) -> float:
    """Return the mean number of unit boxes that hold a point, over all offsets."""
    shift = np.stack(np.meshgrid(_OFFSETS, _OFFSETS), axis=-1).reshape(-1, 1, 2)
    cell = np.floor(points + shift).astype(np.intp)
    filled = np.zeros((len(shift), *(cell.max(axis=(0, 1)) + 1)), dtype=bool)
    filled[np.arange(len(shift))[:, None], cell[..., 0], cell[..., 1]] = True
    return float(filled.sum() / len(shift))


@computed_feature(
    "diameter",
    unit="long side of the image",
    high=float(np.sqrt(2)),
    whole=True,
    source="ABCD criteria of clinical images (Friedman et al. 1985); Feret diameter",
    meaning="largest distance between two points of the border; millimetres are not known",
    domains=LESIONS,
)
def diameter(subject: Subject) -> float:
    """Return the largest Feret diameter, from pixel edge to pixel edge, over the long side."""
    hull = cv2.convexHull(subject.outline.astype(np.float32))[:, 0]
    distance = np.hypot(*(hull[:, None] - hull[None]).transpose(2, 0, 1))
    return float((distance.max() + 1) / max(subject.mask.shape))


@computed_feature(
    "lesion_cut",
    unit="yes/no",
    high=1.0,
    source="-",
    meaning="whether the {lesion} reaches the edge of the image: then its shape is not measured",
    domains=LESIONS,
)
def lesion_cut(subject: Subject) -> float:
    """Return 1 if the lesion reaches the edge of the image, else 0."""
    return float(subject.cut)
