"""Lists of images and labels of MONAI, and folders of nnU-Net: a dataset.json and label maps.

Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; Cardoso et al. 2022, arXiv:2211.02701. Each
label of a map becomes a feature with a mask; labels that are numbers or names are classes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xattn.annotations import rle
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.records import LESION, AnnotatedImage
from xattn.annotations.schema import Kind, Rle, Value
from xattn.documents import read_json
from xattn.errors import AnnotationError, one_line
from xattn.images.containers import content_bytes, has_file, read_content
from xattn.images.ids import distinct_ids

_PARTS = {"training": "train", "train": "train", "validation": "val", "val": "val", "test": "test",
          "testing": "test"}  # fmt: skip
_VOLUMES = (".nii", ".nii.gz", ".mha", ".nrrd")
_BACKGROUND = "background"


@dataclass(frozen=True)
class _Entry:
    """An image of a list, its label or label map, and its part of the split."""

    image: Path
    part: str
    label: Any = None
    map: Path | None = None
    values: Mapping[str, Value] = field(default_factory=dict)


def _list(root: Path) -> Path | None:
    """Return the JSON file of a folder that lists images or describes label maps."""
    for path in sorted(root.glob("*.json")):
        try:
            content = read_json(path, "a list of images", AnnotationError)
        except AnnotationError:
            continue
        if isinstance(content, dict) and (
            _is_nnunet(content) or any(_records(content.get(key)) for key in _PARTS)
        ):
            return path
    return None


def _is_nnunet(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("labels"), dict) and "file_ending" in content


def _records(listed: Any) -> bool:
    first = listed[0] if isinstance(listed, list) and listed else None
    return isinstance(first, dict) and "image" in first


@layout("monai", detect=lambda root: _list(root) is not None)
def monai(sources: Sources, note: Note) -> Draft:
    """Read a list of MONAI, or dataset.json of nnU-Net, with classes or label maps.

    A label that is a file is a map of labels: each becomes a mask, called as `labels` of the file
    says. A number or a text is the class, a list of them are findings. Values: `official_split`,
    and whether each label of the maps is there.

    Raises:
        AnnotationError: there is no such file, it lists volumes, or no image is there.
    """
    path = _list(sources.root)
    if path is None:
        raise AnnotationError(
            f"Expected a list of MONAI or dataset.json of nnU-Net in {sources.root}, but found none"
        )
    content = read_json(path, "a list of images", AnnotationError)
    names = _names(content.get("labels"))
    entries = list(_nnunet(content, path) if _is_nnunet(content) else _listed(content, path))
    volume = next((e.image for e in entries if str(e.image).lower().endswith(_VOLUMES)), None)
    if volume is not None:
        raise AnnotationError(
            f"Expected images in {path}, but got volumes such as {volume.name}; save the slices "
            "that are meant as PNG or TIFF"
        )
    there = [entry for entry in entries if has_file(entry.image)]
    if not there:
        first = f", such as {entries[0].image}," if entries else ""
        raise AnnotationError(f"Expected the images of {path}{first} but found none")
    if len(there) < len(entries):
        note(f"images: {len(entries) - len(there)} of {len(entries)} of the list are not there")
    return _draft(there, names, note)


def _names(labels: Any) -> dict[int, tuple[str, ...]]:
    """Return the names of each value of a map; a region of nnU-Net is of several values."""
    found: dict[int, list[str]] = {}
    for one, other in labels.items() if isinstance(labels, dict) else ():
        # MONAI: "1": "lesion"; nnU-Net: "lesion": 1, or "whole": [1, 2].
        pairs = [(one, other)] if isinstance(other, str) else [(v, one) for v in _several(other)]
        for value, name in pairs:
            if str(value).isdecimal() and name.lower() != _BACKGROUND:
                found.setdefault(int(value), []).append(name)
    return {value: tuple(some) for value, some in found.items()}


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _listed(content: Mapping[str, Any], path: Path) -> Iterator[_Entry]:
    for key, part in _PARTS.items():
        for one in content.get(key) or ():
            record = one if isinstance(one, dict) else {"image": one}
            several = record["image"]
            if isinstance(several, list):
                if len(several) > 1:
                    raise AnnotationError(
                        f"Expected one image an entry in {path}, but got {len(several)}: "
                        f"{several[:2]}"
                    )
                several = several[0]
            label = record.get("label")
            place = path.parent / label if isinstance(label, str) else None
            is_map = place is not None and has_file(place)
            values = {k: v for k, v in record.items() if k not in ("image", "label", "fold")
                      and isinstance(v, int | float | str)}  # fmt: skip
            yield _Entry(
                path.parent / several, part, None if is_map else label, place if is_map else None,
                values,
            )  # fmt: skip


def _nnunet(content: Mapping[str, Any], path: Path) -> Iterator[_Entry]:
    """Yield the cases of imagesTr and imagesTs; channel k of a case is `case_000k`."""
    ending = str(content["file_ending"])
    for folder, part in (("imagesTr", "train"), ("imagesTs", "test")):
        for image in sorted((path.parent / folder).glob(f"*{ending}")):
            case, _, channel = image.name.removesuffix(ending).rpartition("_")
            if channel != "0000":
                raise AnnotationError(
                    f"Expected images of one file a case in {path.parent / folder}, but got the "
                    f"further channel {image.name}; join the channels to one image"
                )
            place = path.parent / folder.replace("images", "labels") / f"{case}{ending}"
            yield _Entry(image, part, map=place if place.is_file() else None)


def _draft(entries: list[_Entry], names: dict[int, tuple[str, ...]], note: Note) -> Draft:
    ids = distinct_ids([entry.image.name.replace("_0000.", ".") for entry in entries])
    images: list[AnnotatedImage] = []
    features: dict[str, None] = {}
    for one, entry in zip(ids, entries, strict=True):
        masks = {} if entry.map is None else _masks(entry.map, names)
        features |= dict.fromkeys(masks)
        label, findings = _label(entry.label, names)
        images.append(
            AnnotatedImage(
                one,
                entry.image,
                label=label,
                findings=findings,
                masks=masks,
                values={**entry.values, "official_split": entry.part},
            )
        )
    mapped = {one for one, entry in zip(ids, entries, strict=True) if entry.map is not None}
    known = [name for name in features if name != LESION]
    finished = tuple(_finished(i, known) if i.id in mapped else i for i in images)
    more = dict.fromkeys(key for image in images for key in image.values)
    kinds: dict[str, Kind] = {
        **dict.fromkeys(more, "metadata"),
        **dict.fromkeys(known, "structure"),
    }
    labels = {name for i in images for name in (i.label, *(i.findings or ())) if name is not None}
    ordered = [name for some in names.values() for name in some if name in labels]
    if not labels:
        note(
            "labels: none, for the list has label maps alone; a table of classes can be read by "
            "--layout csv"
        )
    return Draft((*ordered, *sorted(labels - set(ordered))), kinds, finished)


def _label(
    value: Any, names: Mapping[int, tuple[str, ...]]
) -> tuple[str | None, tuple[str, ...] | None]:
    """Return the class, or the findings."""

    def called(one: Any) -> str:
        known = names.get(int(one)) if str(one).isdecimal() else None
        return known[0] if known else str(one)

    if isinstance(value, list):
        return None, tuple(dict.fromkeys(map(called, value)))
    return (None if value is None else called(value)), None


def _masks(path: Path, names: Mapping[int, tuple[str, ...]]) -> dict[str, Path | Rle]:
    """Return the mask of each label in a map; values that have no name are called label_N."""
    values = _values(path)
    parts: dict[str, NDArray[np.bool_]] = {}
    for value in np.unique(values[values > 0]).tolist():
        for name in names.get(value, (f"label_{value}",)):
            parts[name] = parts.get(name, np.zeros(values.shape, np.bool_)) | (values == value)
    return {name: Rle(**rle.encode(mask)) for name, mask in parts.items()}


def _values(path: Path) -> NDArray[np.int64]:
    try:
        with Image.open(io.BytesIO(content_bytes(read_content(path)))) as image:
            values = np.asarray(image)
    except Exception as err:  # a decoder raises anything on damaged bytes
        raise AnnotationError(f"Expected a label map in {path}, but: {one_line(err)}") from None
    if values.ndim != 2 or values.dtype.kind == "f":
        raise AnnotationError(
            f"Expected a label map of one channel of whole numbers in {path}, but got "
            f"{values.ndim} dimensions of {values.dtype}"
        )
    return values.astype(np.int64)


def _finished(image: AnnotatedImage, features: Iterable[str]) -> AnnotatedImage:
    """Say of each label of the maps whether it is there; one called lesion is the lesion."""
    masks = dict(image.masks)
    lesion = masks.pop(LESION, None)
    there: dict[str, Value] = {name: int(name in masks) for name in features}
    return replace(image, lesion=lesion, masks=masks, values={**there, **image.values})
