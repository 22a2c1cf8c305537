"""What is decided about one image before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

LABELS = ("benign", "malignant")


@dataclass(frozen=True)
class ImageSpec:
    """All that is decided about one image before it is drawn.

    Attributes:
        id: name of its files and its id in the annotation file.
        index: position in the data set.
        lesion: index of the first image of the same lesion.
        seed: of the data set.
        label: "benign" or "malignant".
        present: names of the features that are drawn.
        traits: standard-normal-like scores by name (mean 0 over both labels, deviation 1 within).
        sex: "female" or "male".
        strength: how strongly a thing shows, against the image as it was drawn: of an artifact or
            structure, and of "lesion", its opacity (1: as drawn; 0: not at all), of what every
            image has, such as "light", by what fraction it is more (0: as drawn). See
            `with_strength`, and `with_placing` for where an artifact lies and how large it is.
        shapes: feature -> name of the other shape in which it is drawn. See `with_shapes`.
    """

    id: str
    index: int
    lesion: int
    seed: int
    label: str
    present: frozenset[str]
    traits: Mapping[str, float]
    sex: str
    strength: Mapping[str, float] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Name of the lesion: images of one group must not be split over train and test."""
        return f"LESION_{self.lesion:07d}"

    def level(self, trait: str) -> float:
        """Return a trait as a level in (0, 1): its score's rank in a standard normal."""
        return 0.5 * (1 + math.erf(self.traits[trait] / math.sqrt(2)))

    @property
    def age(self) -> int:
        """Years, in steps of 5, from 10 to 85."""
        return min(85, max(10, 5 * round((52 + 16 * self.traits["age"]) / 5)))
