"""In which images a feature can be edited by its pixels, and whose masks say where they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.interventions.pixels import Mask
from xattn.features.computed.collect import DETECTED
from xattn.features.detected import DETECTORS, PRESENT, FramedImage, detect
from xattn.features.feature_set import LESION, FeatureSet
from xattn.images.domains import applies
from xattn.images.levels import Pixels, in_colours

BY_ANNOTATION, BY_DETECTOR, WHOLE = "annotated", "detected", "none"
"""Values of the column `masks`; the last of what is done to the whole image."""
MEASURED = 20
"""Images of each edit in which features are measured again."""
_SMALLEST = 0.0005
"""Fraction of the view below which what a detector found is not edited."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Shown:
    """A feature that some images show.

    Attributes:
        feature, kind: which.
        rows: images that show it, by their masks, or by flag or score where a detector's are taken.
        without: images that are known not to show it, where a detector's masks are taken.
        detector: whose masks are taken; "" for those of the annotation.
    """

    feature: str
    kind: str
    rows: Rows
    without: Rows
    detector: str = ""


def shown(features: FeatureSet, kinds: Collection[str]) -> Iterator[Shown]:
    """Give each feature of these kinds, but the lesion, of which there are masks or can be.

    An artifact without masks, but with a flag (or the score of its detector), takes the masks of
    the detector of its name, if there is one for images of this domain.

    Args:
        features: of a run.
        kinds: of the features that are wanted.
    """
    table, nothing = features.table, np.zeros(0, dtype=np.intp)
    for feature, kind in features.kinds.items():
        if kind not in kinds or feature == LESION:
            continue
        if feature in features.masked:
            area = table[f"{feature}.area"].to_numpy(dtype=np.float64)
            yield Shown(feature, kind, np.flatnonzero(area > 0), nothing)
        elif (name := feature.removesuffix(DETECTED)) in DETECTORS:
            if feature != name and name in features.kinds:
                continue  # the annotated one is edited
            if not applies(DETECTORS[name].domains, features.domain):
                continue
            said = pd.to_numeric(table[feature], errors="coerce").to_numpy()
            rows, without = np.flatnonzero(said >= PRESENT), np.flatnonzero(said < PRESENT)
            yield Shown(feature, kind, rows, without, name)


def detected_mask(detector: str, pixels: Pixels) -> Mask | None:
    """Return where a detector finds its artifact, (height, width); None if it finds next to none.

    Args:
        detector: its name.
        pixels: of an image that shows the artifact.
    """
    mask = detect(FramedImage(in_colours(pixels)), [detector])[detector].mask
    return None if mask is None or mask.mean() < _SMALLEST else mask


def detected_score(detector: str, pixels: Pixels) -> float:
    """Return how sure a detector is of its artifact, 0 to 1.

    Args:
        detector: its name.
        pixels: of any image.
    """
    return DETECTORS[detector](FramedImage(in_colours(pixels))).score
