"""Nuclei of tissue stained with haematoxylin and eosin: how many, how large, how dense."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import STAINED
from xattn.images.levels import Pixels
from xattn.images.masks import Mask

_SOURCE = "Ruifrok and Johnston 2001 (stains); Otsu 1979 (threshold)"
_LEAST_CONTRAST = 0.01
"""Haematoxylin of nuclei beyond that around them: empty glass has half of it, pale tissue more."""
_SMALLEST = 8
"""Pixels of the frame that a nucleus has at least."""
_LAST: WeakKeyDictionary[Subject, NDArray[np.int64]] = WeakKeyDictionary()
"""Areas of the nuclei of the images at work, each segmented once for all features."""


def segment_nuclei(pixels: Pixels, covered: Mask | None = None) -> NDArray[np.int32]:
    """Return the nuclei of stained tissue, numbered.

    What takes haematoxylin above Otsu's threshold of its root, parted where it is narrow. Nuclei
    that touch over their whole width stay one, pale ones beside dark ones may be missed.

    Args:
        pixels: RGB (height, width, 3), 0 to 255.
        covered: (height, width), where artifacts lie, which are left out.

    Returns:
        (height, width), 0 where there is none.

    Raises:
        UnmeasurableError: nothing stands out.
    """
    # Half a second, for tissue alone.
    from skimage.color import hed_from_rgb, separate_stains
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    amounts = separate_stains(pixels.astype(np.float32) / 255, hed_from_rgb)[..., 0]
    stain = cv2.GaussianBlur(amounts.astype(np.float32), (0, 0), 0.8)
    # The root lets pale large nuclei through beside small dark ones, without taking all fibres.
    root = np.sqrt(np.maximum(stain, 0))
    seen = np.ones(stain.shape, dtype=bool) if covered is None else ~covered
    if seen.sum() < _SMALLEST or np.ptp(root[seen]) == 0:
        raise UnmeasurableError("nothing is seen of the tissue")
    dark = (root > threshold_otsu(root[seen])) & seen  # type: ignore[no-untyped-call]
    if not stain[dark].mean() - stain[seen & ~dark].mean() >= _LEAST_CONTRAST:
        raise UnmeasurableError("nothing takes more haematoxylin than the rest")
    dark = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    inside = cv2.distanceTransform(dark, cv2.DIST_L2, 5)
    smooth = cv2.GaussianBlur(inside, (0, 0), 1.0)
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        smooth, min_distance=2, labels=dark, exclude_border=False
    )
    seeds = np.zeros(stain.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = watershed(-smooth, seeds, mask=dark.astype(bool))  # type: ignore[no-untyped-call]
    areas = np.bincount(parts.ravel())
    parts[areas[parts] < _SMALLEST] = 0
    return np.asarray(parts, np.int32)


_of_nuclei = partial(computed_feature, source=_SOURCE, domains=STAINED, needs_lesion=False)


@_of_nuclei(
    "nuclei_count",
    unit="nuclei",
    meaning="number of nuclei in the image",
)
def nuclei_count(subject: Subject) -> float:
    """Return the number of nuclei."""
    return float(len(_areas(subject)))


@_of_nuclei(
    "nuclei_diameter",
    unit="1",
    high=1.0,
    meaning="median diameter of nuclei (of a disc of their area) over the image's longer side",
)
def nuclei_diameter(subject: Subject) -> float:
    """Return the median equivalent diameter; the magnification is not known, so it is relative."""
    areas = _areas(subject)
    if not len(areas):
        raise UnmeasurableError("there are no nuclei")
    return float(np.median(2 * np.sqrt(areas / np.pi)) / max(subject.pixels.shape[:2]))


@_of_nuclei(
    "nuclei_area",
    unit="1",
    high=1.0,
    meaning="fraction of the image, without artifacts, that nuclei cover",
)
def nuclei_area(subject: Subject) -> float:
    """Return the fraction of the image that is nuclei."""
    covered = subject.artifacts
    seen = subject.pixels.shape[0] * subject.pixels.shape[1] - (
        0 if covered is None else int(covered.sum())
    )
    return float(_areas(subject).sum() / seen)


def _areas(subject: Subject) -> NDArray[np.int64]:
    """Return the pixels of each nucleus."""
    found = _LAST.get(subject)
    if found is None:
        parts = segment_nuclei(subject.pixels, subject.artifacts)
        counts = np.bincount(parts.ravel())[1:]
        found = _LAST[subject] = counts[counts > 0]
    return found
