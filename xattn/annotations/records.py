"""The content of an annotation file, with its masks in register with their images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xattn.annotations import rle
from xattn.annotations.headers import Header, read_header
from xattn.annotations.mask_orientation import drawn_over, same_aspect_ratio
from xattn.annotations.problems import Problem
from xattn.annotations.schema import Feature, Rle, Value
from xattn.errors import AnnotationError, ImageError, near
from xattn.images import View, read_mask, sample_mask
from xattn.images.domains import guess_domain
from xattn.images.orientation import turn_upright
from xattn.notebook import shortly

LESION = "lesion"
"""Name under which an image's lesion mask is asked for; no feature may be called so."""


@dataclass(frozen=True)
class AnnotatedImage:
    """What is known of one image.

    Attributes:
        id: name of the image in every table.
        file: the image file, resolved against the annotation file.
        label: reference class, or None.
        findings: where several can be true of one image, all that are, instead of a label; none
            of them if empty, None where the image has a label or nothing is known.
        unknown: findings of which it is not known whether the image shows them.
        group: images of one group (patient, lesion) must not be split, or None.
        lesion: mask of the lesion: a file, run lengths, or None.
        masks: feature -> mask (a file or run lengths), of the features that are annotated.
        values: feature -> value (number, text or truth value), of those that are known.
    """

    id: str
    file: Path
    label: str | None = None
    group: str | None = None
    lesion: Path | Rle | None = None
    masks: Mapping[str, Path | Rle] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    findings: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()

    def shows(self, finding: str) -> bool | None:
        """Say whether an image shows a finding, or None if that is not known.

        A label is the one finding of its image.
        """
        if finding in self.unknown or (self.findings is None and self.label is None):
            return None
        return finding in self.findings if self.findings is not None else finding == self.label

    def mask_entry(self, feature: str) -> Path | Rle | None:
        """Return where the mask of a feature, or "lesion", is found; None if not annotated."""
        return self.lesion if feature == LESION else self.masks.get(feature)


@dataclass(frozen=True)
class Annotations:
    """An annotation file that was read.

    Attributes:
        path: the file.
        labels: the reference classes, in the file's order.
        features: name -> `Feature`, whose `kind` is "structure", "artifact" or "metadata".
        images: the images without problems, in the file's order.
        problems: why the others were left out.
        domain: of the images, a name of `xattn.images.domains.DOMAINS`; None if it is not said.
    """

    path: Path
    labels: tuple[str, ...]
    features: Mapping[str, Feature]
    images: tuple[AnnotatedImage, ...]
    problems: tuple[Problem, ...] = ()
    domain: str | None = None

    def __repr__(self) -> str:
        labels = shortly(self.labels) or "no labels"
        problems = f", {len(self.problems)} problems" if self.problems else ""
        return (
            f"<xattn.Annotations {self.path.name}: {len(self.images):,} images, {labels}, "
            f"{len(self.features)} features{problems}>"
        )

    @cached_property
    def by_id(self) -> dict[str, AnnotatedImage]:
        """The images by their id."""
        return {image.id: image for image in self.images}

    @cached_property
    def likely_domain(self) -> str | None:
        """The domain that the file says, else what the images look like, if that is clear.

        A name of `xattn.images.domains.DOMAINS`, or None: not known.
        """
        return self.domain or guess_domain([image.file for image in self.images])

    def mask(
        self, image_id: str, feature: str, image_size: tuple[int, int] | None = None
    ) -> NDArray[np.bool_] | None:
        """Return a mask over the upright image, at the mask's own resolution.

        Args:
            image_id: an image; one that is not in the file has no mask.
            feature: a feature of the file, or "lesion".
            image_size: (width, height) of the upright image; default as its file says.

        Returns:
            Booleans (h, w) of the image's aspect ratio, or None if there is no mask.

        Raises:
            AnnotationError: the feature is not in the file, or the mask cannot be decoded or has
                another aspect ratio than its image.
            ImageError: the image's own file cannot be read.
        """
        found = self._find(image_id, feature)
        return None if found is None else _upright(*found, feature, image_size)

    def mask_in_view(
        self, image_id: str, feature: str, view: View, image_size: tuple[int, int]
    ) -> NDArray[np.bool_] | None:
        """Return a mask at the pixels of a model's input.

        Args:
            image_id, feature: as for `mask`.
            view: the part of the upright image that the model sees.
            image_size: (width, height) of the upright image that `view` refers to.

        Returns:
            Booleans (view.height, view.width), or None if there is no mask.

        Raises:
            AnnotationError, ImageError: as `mask`.
        """
        whole = self.mask(image_id, feature, image_size)
        return None if whole is None else sample_mask(whole, view, image_size)

    def presence(self, image_id: str, feature: str) -> bool | None:
        """Say whether an image shows a structure or artifact, or None if that is not known.

        The value decides if there is one (present if above 0), else whether the mask has a pixel.
        Metadata are neither present nor absent: None.

        Raises:
            AnnotationError: the feature is not in the file, or its mask cannot be decoded.
        """
        self._expect(feature)
        image = self.by_id.get(image_id)
        if image is None or (feature != LESION and self.features[feature].kind == "metadata"):
            return None
        value = image.values.get(feature)
        if value is not None:
            return float(value) > 0
        entry = image.mask_entry(feature)
        return None if entry is None else bool(_pixels(image, feature, entry).any())

    def _expect(self, feature: str) -> None:
        if feature != LESION and feature not in self.features:
            known = [*self.features, LESION]
            raise AnnotationError(f"{self.path}: Unknown feature {feature!r}{near(feature, known)}")

    def _find(self, image_id: str, feature: str) -> tuple[AnnotatedImage, Path | Rle] | None:
        self._expect(feature)
        image = self.by_id.get(image_id)
        entry = None if image is None else image.mask_entry(feature)
        return None if image is None or entry is None else (image, entry)


def mask_key(feature: str) -> str:
    """Return the key under which the file keeps a feature's mask."""
    return LESION if feature == LESION else f"masks.{feature}"


def mask_header(entry: Path | Rle) -> Header:
    """Return the size and orientation of a mask.

    Raises:
        ImageError: its file cannot be read.
    """
    if isinstance(entry, Rle):
        return Header(entry.size[1], entry.size[0], orientation=1)
    return read_header(entry)


def aspect_problem(image_id: str, feature: str, mask: Header, image: Header) -> Problem | None:
    """Say what is wrong with the shape of a mask, if anything is."""
    if drawn_over(mask, image) is not None:
        return None
    return Problem(
        image_id,
        mask_key(feature),
        f"Expected a mask of the aspect ratio of its image, {image.width} x {image.height}, "
        f"but got {mask.width} x {mask.height}",
    )


def _upright(
    image: AnnotatedImage, entry: Path | Rle, feature: str, size: tuple[int, int] | None
) -> NDArray[np.bool_]:
    """Decode a mask over its upright image of `size` (width, height), taken from its file if None.

    Headers are read only where the shape alone does not settle the matter.
    """
    mask = _pixels(image, feature, entry)
    if size is not None and same_aspect_ratio((mask.shape[1], mask.shape[0]), size):
        return mask
    header = read_header(image.file)
    if size is not None:
        header = Header(*size, header.orientation)
    problem = aspect_problem(image.id, feature, mask_header(entry), header)
    if problem is not None:
        raise AnnotationError(str(problem))
    if drawn_over(mask_header(entry), header) == "stored":
        return turn_upright(mask, header.orientation)
    return mask


def _pixels(image: AnnotatedImage, feature: str, entry: Path | Rle) -> NDArray[np.bool_]:
    if isinstance(entry, Rle):
        return rle.decode(entry.size, entry.counts)
    try:
        return read_mask(entry)
    except ImageError as err:
        raise AnnotationError(str(Problem(image.id, mask_key(feature), str(err)))) from None
