"""ISIC 2018 (Task 1 and 2): lesions and five dermoscopic structures, as masks.

Codella et al. 2019, "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv:1902.03368.
Artifact flags: Bissoto et al. 2020, "Debiasing Skin Lesion Datasets and Models? Not So Fast".
Artifact masks: Pahde et al., found with a model, so noisy; see `docs/annotations.md`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from xattn.annotations.layouts.isic_artifacts import artifact_masks
from xattn.annotations.layouts.isic_tables import ARTIFACTS, METADATA, read_labels, read_values
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.records import AnnotatedImage
from xattn.annotations.schema import Kind, Rle
from xattn.annotations.tables import image_key, read_table
from xattn.errors import AnnotationError

STRUCTURES = ("pigment_network", "negative_network", "streaks", "milia_like_cyst", "globules")

_IMAGES = ("images", "ISIC2018_Task1-2_*_Input")
_LESIONS = ("lesion_masks", "ISIC2018_Task1_*_GroundTruth")
_ATTRIBUTES = ("attribute_masks", "ISIC2018_Task2_*_GroundTruth*")
_IMAGE_NAME = r"(ISIC_\d+)(_downsampled)?\.(jpe?g|png)"
_LESION_NAME = r"(ISIC_\d+)_segmentation\.png"
_ATTRIBUTE_NAME = r"(ISIC_\d+)_attribute_{}\.png"


def _looks_like(root: Path) -> bool:
    return any(_matching(root, _ATTRIBUTES, _ATTRIBUTE_NAME.format(r"\w+")))


# Of rank 2: where there are masks, they are meant, whatever tables lie beside them.
@layout(
    "isic2018",
    detect=_looks_like,
    takes=("artifact_masks", "flags", "metadata", "labels"),
    rank=2,
    domain="dermoscopy",
)
def isic2018(sources: Sources, note: Note) -> Draft:
    """Read the official folders, or the same files under short folder names.

    Raises:
        AnnotationError: there are no images, or a table cannot be read.
    """
    files = _images(sources.root)
    masks = _structure_masks(sources.root, files, note)
    lesions = _by_key(sources.root, _LESIONS, _LESION_NAME)
    _note_missing("lesion", lesions, files, note)
    flags = read_table(sources.flags, files, note) if sources.flags else None
    metadata = read_table(sources.metadata, files, note) if sources.metadata else None
    reference = read_table(sources.labels, files, note) if sources.labels else None
    classes, labels = read_labels(files, reference, flags, note)
    values = read_values(files, flags, metadata, note)
    if sources.artifact_masks:
        for i, found in artifact_masks(sources.artifact_masks, files, values, note).items():
            masks[i] |= found
    images = tuple(
        AnnotatedImage(
            id=i,
            file=file,
            label=labels.get(i),
            group=(metadata.cell(i, "lesion_id") or None) if metadata else None,
            lesion=lesions.get(image_key(i)),
            masks=masks[i],
            values=values[i],
        )
        for i, file in files.items()
    )
    return Draft(classes, _features(images), images)


def _features(images: tuple[AnnotatedImage, ...]) -> dict[str, Kind]:
    """Return the features that are annotated anywhere, structures first."""
    kinds: dict[str, Kind] = dict.fromkeys(STRUCTURES, "structure")
    kinds |= dict.fromkeys(ARTIFACTS, "artifact")
    kinds |= dict.fromkeys([*METADATA.values(), "dataset"], "metadata")
    used = Counter(name for image in images for name in (*image.masks, *image.values))
    return {name: kind for name, kind in kinds.items() if used[name]}


def _images(root: Path) -> dict[str, Path]:
    """Return image id (the file's name without its ending) -> file, sorted."""
    found = {path.stem: path for path, _ in _matching(root, _IMAGES, _IMAGE_NAME)}
    if not found:
        raise AnnotationError(
            f"Expected images ISIC_*.jpg in a folder {' or '.join(_IMAGES)} under {root}, "
            "but found none"
        )
    return dict(sorted(found.items()))


def _structure_masks(
    root: Path, files: dict[str, Path], note: Note
) -> dict[str, dict[str, Path | Rle]]:
    """Return image id -> structure -> mask; the official set has one each, all-zero if absent."""
    masks: dict[str, dict[str, Path | Rle]] = {i: {} for i in files}
    for name in STRUCTURES:
        found = _by_key(root, _ATTRIBUTES, _ATTRIBUTE_NAME.format(name))
        _note_missing(name, found, files, note)
        for i in files:
            if image_key(i) in found:
                masks[i][name] = found[image_key(i)]
    return masks


def _note_missing(what: str, found: dict[str, Path], files: dict[str, Path], note: Note) -> None:
    missing = sum(image_key(i) not in found for i in files)
    if missing:
        note(f"{what}: {missing} of {len(files)} images have no mask")


def _by_key(root: Path, folders: tuple[str, ...], name: str) -> dict[str, Path]:
    return {key: path for path, key in _matching(root, folders, name)}


def _matching(root: Path, folders: tuple[str, ...], name: str) -> list[tuple[Path, str]]:
    """Return the files of such a name, and its first group, in such folders under the root.

    The folders lie in the root, or one level deeper, where archives are unpacked into a folder
    of their own.
    """
    pattern = re.compile(name, re.IGNORECASE)
    found = []
    for folder in (f for glob in folders for at in (glob, f"*/{glob}") for f in root.glob(at)):
        for path in folder.iterdir():
            match = pattern.fullmatch(path.name)
            if match:
                found.append((path, match[1]))
    return found
