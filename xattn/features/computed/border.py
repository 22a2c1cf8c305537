"""How abruptly the pigment ends at the lesion's border."""

from __future__ import annotations

import numpy as np

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import LESIONS

_EIGHTHS = 8
_NEAR, _FAR = 0.04, 0.16
"""Widths of the bands on either side of the border, in diameters of a disc of the lesion's area.
The nearer one allows for masks that lie a pixel or two off."""
_STEEP = 0.45
"""Fraction of the whole change of L* that must happen across the nearer band. On a straight ramp as
wide as both farther bands it is 0.25; a step gives 1."""
_FAINT = 4.0
"""A change of L* below this is none: there is no edge to be steep."""
_FEWEST = 8


@computed_feature(
    "abrupt_border",
    unit="1",
    high=1.0,
    whole=True,
    source="Stolz et al. 1994; Nachbar et al. 1994 (B of the ABCD rule)",
    meaning="fraction of the border's eighths in which the {lesion} ends abruptly",
    domains=LESIONS,
)
def abrupt_border(subject: Subject) -> float:
    """Return in how many of eight sectors L* changes steeply across the border, over eight.

    Steep: the difference between thin bands just inside and outside the border is at least 0.45
    of that between bands four times as wide. Sectors start at the longer principal axis. The
    threshold is ours, such that a quarter of the sectors of ISIC 2018 are steep: the rule asks for
    an abrupt, sharp cut-off by eye.

    Raises:
        UnmeasurableError: fewer than half of the sectors have pixels enough, free of artifacts.
    """
    width = float(np.sqrt(4 * subject.area / np.pi))
    near, far = max(2.0, _NEAR * width), max(6.0, _FAR * width)
    where = (np.abs(subject.distance) < far) & subject.clean
    rows, cols = np.nonzero(where)
    along, across = subject.axes.astype(np.float32) @ _about(cols, rows, subject.centre)
    sector = np.floor((np.arctan2(across, along) / (2 * np.pi) % 1) * _EIGHTHS).astype(np.intp)
    sector = np.minimum(sector, _EIGHTHS - 1)
    distance, light = subject.distance[where], subject.light[where]
    thin = np.abs(distance) < near
    inside = (distance < 0).astype(np.intp)
    wide_band = _means(sector * 2 + inside, light)
    thin_band = _means((sector * 2 + inside)[thin], light[thin])
    whole, across_border = (b[:, 0] - b[:, 1] for b in (wide_band, thin_band))
    known = ~np.isnan(whole) & ~np.isnan(across_border)
    if known.sum() < _EIGHTHS / 2:
        raise UnmeasurableError("artifacts cover the border")
    steep = (np.abs(whole) >= _FAINT) & (across_border * np.sign(whole) >= _STEEP * np.abs(whole))
    return float(steep[known].mean())


def _about(cols: np.ndarray, rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.stack([cols - centre[0], rows - centre[1]]).astype(np.float32)


def _means(cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return means (8, 2) outside and inside of each sector; NaN where there are few pixels."""
    count = np.bincount(cell, minlength=2 * _EIGHTHS)
    total = np.bincount(cell, values, minlength=2 * _EIGHTHS)
    return np.where(count >= _FEWEST, total / np.maximum(count, 1), np.nan).reshape(_EIGHTHS, 2)
