"""Pixel masks of artifacts for ISIC images, published as squares that hold the whole image.

`binary/{band_aid,ruler,skin_marker}` were derived from a model (Pahde et al.) and are noisy;
`bandaid_manual_r2r` was drawn by hand. Both are squashed, so they are brought back to the shape of
the image and kept as run lengths inside the annotation file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xattn.annotations import rle
from xattn.annotations.headers import read_header
from xattn.annotations.layouts.registry import Note
from xattn.annotations.mask_orientation import same_aspect_ratio
from xattn.annotations.schema import Rle, Value
from xattn.annotations.tables import image_key
from xattn.errors import AnnotationError, ImageError
from xattn.images import View, read_image, read_mask, sample_mask
from xattn.images.prefetch import prefetch

MODEL_MADE = {
    "binary/band_aid": "patches",
    "binary/ruler": "ruler",
    "binary/skin_marker": "ink",
}
"""Folder -> feature of the flags; white on black."""
HAND_DRAWN = {"bandaid_manual_r2r": "patches"}
"""Folder -> feature, taken before the model-made masks; any colour on black."""

_THREADS = 4


class _Job(NamedTuple):
    image_id: str
    image: Path
    feature: str
    mask: Path
    drawn: bool


def artifact_masks(
    folder: Path,
    files: Mapping[str, Path],
    values: Mapping[str, Mapping[str, Value]],
    note: Note,
) -> dict[str, dict[str, Path | Rle]]:
    """Return image id -> artifact -> mask, of the images that have one.

    A mask is dropped, with a note, where a human flag says that the artifact is absent, where
    it is empty, and where it can be brought into no register with its image.

    Args:
        folder: holds the folders of `MODEL_MADE` and `HAND_DRAWN`, or some of them.
        files: image id -> file.
        values: image id -> feature -> flag, of those that are known.
        note: told what was dropped.

    Raises:
        AnnotationError: none of the folders is there.
    """
    found = _find(folder, files)
    jobs, dropped = [], Counter[str]()
    for job in found.values():
        if values[job.image_id].get(job.feature) == 0:
            dropped[f"{job.feature}: masks dropped because a human flag says absent"] += 1
        else:
            jobs.append(job)
    masks: dict[str, dict[str, Path | Rle]] = {}
    for job, mask in zip(jobs, prefetch(_read, jobs, _THREADS), strict=True):
        if isinstance(mask, str):
            dropped[f"{job.feature}: masks dropped because {mask}"] += 1
        else:
            masks.setdefault(job.image_id, {})[job.feature] = mask
    for line, n in dropped.items():
        note(f"{line}: {n}")
    return masks


def _find(folder: Path, files: Mapping[str, Path]) -> dict[tuple[str, str], _Job]:
    """Return (image id, feature) -> mask file; a hand-drawn one takes a model-made one's place."""
    ids = {image_key(i): i for i in files}
    known = [(name, feature, False) for name, feature in MODEL_MADE.items()]
    known += [(name, feature, True) for name, feature in HAND_DRAWN.items()]
    there = [(folder / name, feature, drawn) for name, feature, drawn in known]
    there = [entry for entry in there if entry[0].is_dir()]
    if not there:
        raise AnnotationError(
            f"Expected artifact masks in {', '.join(name for name, *_ in known)} under {folder}, "
            "but found none of these folders"
        )
    found = {}
    for place, feature, drawn in there:
        for path in sorted(place.glob("*.png")):
            i = ids.get(image_key(path.name))
            if i is not None:
                found[i, feature] = _Job(i, files[i], feature, path, drawn)
    return found


def _read(job: _Job) -> Path | Rle | str:
    """Return the mask of one image, or in a few words why there is none."""
    try:
        image = read_header(job.image).size
        mask = _any_colour(job.mask) if job.drawn else read_mask(job.mask)
    except ImageError:
        return "a file cannot be read"
    if not mask.any():
        return "they are empty"
    height, width = mask.shape
    if same_aspect_ratio((width, height), image) and not job.drawn:
        return job.mask
    if not same_aspect_ratio((width, height), image):
        if height != width:
            return "their shape is neither the image's nor a square"
        mask = unsquash(mask, image)
    return Rle(**rle.encode(mask))


def _any_colour(path: Path) -> NDArray[np.bool_]:
    pixels = np.asarray(read_image(path).image)
    return np.asarray(pixels.any(axis=2), dtype=np.bool_)


def unsquash(mask: NDArray[np.bool_], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Bring a mask that holds a whole image, squashed, back to the image's aspect ratio.

    Nearest sampling, at the image's size or, for large images, at the smallest size at which no
    row or column of the mask is lost.

    Args:
        mask: booleans (h, w).
        image_size: (width, height) of the upright image.
    """
    scale = min(1.0, max(mask.shape) / min(image_size))
    width, height = (round(side * scale) for side in image_size)
    view = View((0.0, 0.0, float(image_size[0]), float(image_size[1])), height, width)
    return sample_mask(mask, view, image_size)
