"""COCO: images, categories and outlines in one JSON file, as annotation tools export them.

Lin et al. 2014, arXiv:1405.0312. Each category becomes a feature with a mask, the union of its
outlines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xattn.annotations.layouts.image_folder import PARTS
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.listing import Listing, images_below
from xattn.annotations.outlines import KEYS, read_coco, union
from xattn.annotations.records import LESION, AnnotatedImage
from xattn.annotations.schema import Kind, Rle, Value
from xattn.errors import AnnotationError, near
from xattn.images.ids import distinct_ids

CATEGORY = "category"
"""In place of a key of the images: the categories that an image shows are its findings."""

_SEEN = 2**16
_DEEPEST = 2


def _files(root: Path) -> list[Path]:
    """Return the JSON files below a folder whose beginning and end have the keys of COCO."""
    found = []
    for depth in range(_DEEPEST + 1):
        for path in sorted(root.glob("*/" * depth + "*.json")):
            with path.open("rb") as file:
                text = file.read(_SEEN)
                file.seek(max(0, path.stat().st_size - _SEEN))
                text += file.read()
            # Of a long file the third key stands in the middle.
            if sum(f'"{key}"'.encode() in text for key in KEYS) >= 2 and b'"bbox"' in text:
                found.append(path)
    return found


@layout("coco", detect=lambda root: bool(_files(root)), takes=("columns.label",))
def coco(sources: Sources, note: Note) -> Draft:
    """Read all JSON files of COCO below the folder; a category called lesion is the lesion.

    A feature is absent where an image has no outline of its category. `--label-column KEY` takes a
    key of the images as the label, `--label-column category` the categories as lists of findings.

    Raises:
        AnnotationError: there is no such file, one is damaged, or none of the images is there.
    """
    files = _files(sources.root)
    if not files:
        raise AnnotationError(f"Expected a JSON file of COCO under {sources.root}, but found none")
    finder = _Finder(sources, note)
    records: list[AnnotatedImage] = []
    names: dict[str, None] = {}
    boxes = 0
    for path in files:
        content = read_coco(path)
        called = {one["id"]: str(one["name"]) for one in content["categories"]}
        used = {one["category_id"] for one in content["annotations"]}
        names |= dict.fromkeys(name for key, name in called.items() if key in used)
        by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
        for one in content["annotations"]:
            by_image[one["image_id"]].append(one)
        for image in content["images"]:
            file = finder.find(path, str(image["file_name"]))
            if file is None:
                continue
            outlines = by_image[image["id"]]
            boxes += sum(not one.get("segmentation") for one in outlines)
            records.append(_record(image, file, outlines, called, path, sources.columns.label))
    finder.tell()
    if not records:
        raise AnnotationError(
            f"Expected the images of {files[0]} under {sources.root}, but found none"
        )
    if boxes:
        note(f"masks: {boxes:,} annotations have no outline, and their box is taken")
    return _draft(records, list(names), sources.columns.label, note)


class _Finder:
    """Finds the file of an image: beside the JSON file, below the folder, or by its name."""

    def __init__(self, sources: Sources, note: Note) -> None:
        self._sources, self._note = sources, note
        self._has = Listing().has
        self._by_name: dict[str, str] | None = None
        self._gone = self._all = 0

    def find(self, beside: Path, name: str) -> Path | None:
        self._all += 1
        root = self._sources.root
        for place in (beside.parent / name, root / name, root / "images" / name):
            if self._has(place):
                return place
        if self._by_name is None:
            listed = images_below(root, self._note, self._sources.mask_folders)
            self._by_name = {one: f"{folder}/{one}" for folder, one in listed}
        found = self._by_name.get(name.rpartition("/")[2])
        self._gone += found is None
        return None if found is None else Path(found)

    def tell(self) -> None:
        if self._gone:
            self._note(f"images: {self._gone:,} of {self._all:,} that the files name are not there")


def _record(
    image: Mapping[str, Any],
    file: Path,
    outlines: Sequence[Mapping[str, Any]],
    called: Mapping[Any, str],
    path: Path,
    label: str | None,
) -> AnnotatedImage:
    if label not in (None, CATEGORY) and label not in image:
        raise AnnotationError(
            f"Expected a key of the images of {path}, or category, as the label, but got {label!r}"
            f"{near(str(label), [*image, CATEGORY])}"
        )
    parts: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in outlines:
        parts[called.get(one["category_id"], str(one["category_id"]))].append(one)
    size = int(image["height"]), int(image["width"])
    masks: dict[str, Path | Rle] = {name: union(some, size, path) for name, some in parts.items()}
    part = next((PARTS[p.lower()] for p in file.parts if p.lower() in PARTS), None)
    return AnnotatedImage(
        str(image["file_name"]),
        file,
        label=str(image[label]) if label and label != CATEGORY else None,
        findings=tuple(parts) if label == CATEGORY else None,
        lesion=masks.pop(LESION, None),
        masks=masks,
        values={"official_split": part} if part else {},
    )


def _draft(
    records: Sequence[AnnotatedImage], names: Sequence[str], label: str | None, note: Note
) -> Draft:
    features = [name for name in names if name != LESION]
    ids = distinct_ids([record.id for record in records])
    images = tuple(
        _finished(record, one, features) for record, one in zip(records, ids, strict=True)
    )
    kinds: dict[str, Kind] = dict.fromkeys(features, "structure")
    if any("official_split" in image.values for image in images):
        kinds["official_split"] = "metadata"
    if label == CATEGORY:
        return Draft(tuple(names), kinds, images)
    if label is None:
        note("labels: none; --label-column takes a key of the images, or category")
    return Draft(tuple(sorted({i.label for i in images if i.label is not None})), kinds, images)


def _finished(record: AnnotatedImage, one: str, features: Sequence[str]) -> AnnotatedImage:
    there: dict[str, Value] = {name: int(name in record.masks) for name in features}
    return replace(record, id=one, values={**there, **record.values})
