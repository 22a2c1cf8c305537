"""Computed features and detected artifacts of all images of a run, in one pass over the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xattn.annotations.records import LESION
from xattn.errors import AnnotationError, ImageError
from xattn.features.computed.frame import SIDE, read_framed, whole_image
from xattn.features.computed.registry import COMPUTED_FEATURES, ComputedFeature, measure_all
from xattn.features.computed.subject import Subject
from xattn.features.detected import DETECTORS, FramedImage, detect
from xattn.images.domains import Words, applies, words_of
from xattn.images.levels import Pixels
from xattn.images.masks import Mask
from xattn.images.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from xattn.annotations.records import Annotations
    from xattn.runs import RunFolder

DETECTED = ".detected"
"""Ends the name of a detector's score: `hair.detected` beside the annotated `hair`."""


@dataclass(frozen=True)
class ImageFeatures:
    """What was measured; entry i of each column is row i of the run's predictions.

    Attributes:
        columns: by feature, float64 (n,), NaN where it could not be measured.
        kinds: by feature, "computed" or "artifact".
        facts: where the numbers come from, as JSON values: cards, detectors, size of the frame,
            what is for images of another domain, and by feature how many images could not be
            measured for which reason.
    """

    columns: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def measure_images(
    run: RunFolder,
    annotations: Annotations,
    *,
    computed: bool = True,
    detected: bool = False,
    domain: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 2,
) -> ImageFeatures:
    """Measure every image of a run, at its own aspect ratio and at most 256 pixels wide or high.

    A feature that the annotation file has under the same name is left to it. Images that cannot
    be read, and those without a lesion mask, have no values; they are counted in the facts.

    Args:
        run: its images are read again from where they were.
        annotations: lesion masks, and masks of artifacts that are kept out of what is measured.
        computed: measure `COMPUTED_FEATURES`; those that need a lesion mask only if any image of
            the run has one, those that need none only if the domain is known to be theirs.
        detected: run `DETECTORS`; their scores are called `<name>.detected`.
        domain: of the images, a name of `DOMAINS`: what is for others is left out. None leaves
            out nothing.
        progress: called as progress(done, total) after every image.
        workers: threads that read and measure.

    Returns:
        A column a feature, NaN where it could not be measured.
    """
    ids = [str(i) for i in run.predictions["image_id"]]
    known = (annotations.by_id.get(i) for i in ids)
    outlined = any(k is not None and k.lesion is not None for k in known)
    pass_ = _Pass(run, annotations, ids, computed, detected, domain, outlined)
    about = {"domain": domain, "of_other_domains": pass_.of_other_domains}
    if not pass_.kinds:
        return ImageFeatures(facts=about)
    columns = {name: np.full(len(ids), np.nan) for name in pass_.kinds}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in pass_.kinds}
    for row, (values, missing) in enumerate(prefetch(pass_.measure, range(len(ids)), workers)):
        for name, value in values.items():
            columns[name][row] = value
        for name, reason in missing.items():
            reasons[name][reason] += 1
        if progress is not None:
            progress(row + 1, len(ids))
    facts = {
        **about,
        "frame": SIDE,
        "computed": {n: COMPUTED_FEATURES[n].to_dict(pass_.words) for n in pass_.measured},
        "detectors": {n: DETECTORS[n].to_dict() for n in pass_.looked_for},
        "unmeasured": {name: dict(counted) for name, counted in reasons.items() if counted},
    }
    return ImageFeatures(columns, pass_.kinds, facts)


@dataclass(frozen=True)
class _Pass:
    """Measures one image after the other; may be called from several threads."""

    run: RunFolder
    annotations: Annotations
    ids: Sequence[str]
    computed: bool
    detected: bool
    domain: str | None
    outlined: bool

    @property
    def words(self) -> Words:
        return words_of(self.domain)

    @cached_property
    def wanted(self) -> dict[str, bool]:
        """What was asked for and is not annotated, and whether it is for these images."""
        taken = self.annotations.features
        computed = {
            name: applies(feature.domains, self.domain)
            for name, feature in COMPUTED_FEATURES.items()
            if self.computed and name not in taken and self._sensible(feature)
        }
        detected = {
            name + DETECTED: applies(one.domains, self.domain)
            for name, one in DETECTORS.items()
            if self.detected and name + DETECTED not in taken
        }
        return computed | detected

    def _sensible(self, feature: ComputedFeature) -> bool:
        """Say whether a feature could be meant: what needs no outline is meant for its domains."""
        if feature.needs_lesion:
            return self.outlined
        return self.domain is not None and applies(feature.domains, self.domain)

    @property
    def of_other_domains(self) -> list[str]:
        return [name for name, applicable in self.wanted.items() if not applicable]

    @cached_property
    def measured(self) -> list[str]:
        return [name for name in COMPUTED_FEATURES if self.wanted.get(name)]

    @cached_property
    def looked_for(self) -> list[str]:
        return [name for name in DETECTORS if self.wanted.get(name + DETECTED)]

    @cached_property
    def kinds(self) -> dict[str, str]:
        kinds = {name: COMPUTED_FEATURES[name].kind for name in self.measured}
        return kinds | {name + DETECTED: "artifact" for name in self.looked_for}

    def measure(self, row: int) -> tuple[dict[str, float], dict[str, str]]:
        """Return values by feature, and why others have none."""
        try:
            pixels, size = read_framed(
                self.run.image_path(row),
                window=self.run.preprocessing.window,
                channels=self.run.preprocessing.channels,
            )
        except ImageError:
            return {}, dict.fromkeys(self.kinds, "the image cannot be read")
        values = {
            name + DETECTED: found.score
            for name, found in detect(FramedImage(pixels), self.looked_for).items()
        }
        if not self.measured:
            return values, {}
        subject, outlined = self._subject(self.ids[row], pixels, size)
        able = [n for n in self.measured if outlined or not COMPUTED_FEATURES[n].needs_lesion]
        numbers, reasons = measure_all(subject, able)
        lacking = f"there is no {self.words.lesion} mask that can be used"
        unable = {name: lacking for name in self.measured if name not in able}
        return values | numbers, reasons | unable

    def _subject(self, image: str, pixels: Pixels, size: tuple[int, int]) -> tuple[Subject, bool]:
        """Return the image with its lesion, and whether there is a mask of it."""
        lesion = self._mask(image, LESION, size)
        nothing = np.zeros(pixels.shape[:2], dtype=bool)
        found = (self._mask(image, name, size) for name in self._artifacts)
        artifacts = [mask for mask in found if mask is not None]
        covered = np.any(artifacts, axis=0) if artifacts else None
        mask = nothing if lesion is None else lesion
        return Subject(pixels, mask, covered, self.words), lesion is not None

    @cached_property
    def _artifacts(self) -> list[str]:
        return [n for n, f in self.annotations.features.items() if f.kind == "artifact"]

    def _mask(self, image: str, feature: str, size: tuple[int, int]) -> Mask | None:
        try:
            return self.annotations.mask_in_view(image, feature, whole_image(size), size)
        except (AnnotationError, ImageError):  # the reading of masks lists it in errors.csv
            return None
