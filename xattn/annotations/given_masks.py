"""Masks that the user names: a folder, or a pattern of the files' names, for any layout."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xattn.annotations.layouts.isic_tables import ARTIFACTS
from xattn.annotations.layouts.registry import Draft, Note
from xattn.annotations.listing import is_place
from xattn.annotations.outlines import masks_by_file
from xattn.annotations.records import LESION, AnnotatedImage
from xattn.annotations.schema import Kind, Rle
from xattn.annotations.tables import image_key
from xattn.errors import AnnotationError, UsageError
from xattn.images.find import find_paths

ID = "{id}"
"""Stands in a pattern where the image's id stands in a file's name."""

_SEPARATORS = "_-. "
_AMBIGUOUS = 0.2
"""Fraction of the images with a second file of another name, above which the user is asked."""


@dataclass(frozen=True)
class MaskPlace:
    """Where the masks of one feature are.

    Attributes:
        feature: its name, or "lesion".
        where: a folder, a pattern of paths with `{id}` in it and `*` for what varies, or a JSON
            file of COCO.
        kind: of the feature; None for what its name or the data set says.
    """

    feature: str
    where: str
    kind: Kind | None = None

    @property
    def is_outlines(self) -> bool:
        """Whether the place is a JSON file of COCO."""
        return ID not in self.where and self.where.lower().endswith(".json")

    @property
    def folder(self) -> Path:
        """The folder below which the files lie."""
        if ID not in self.where:
            return Path(self.where)
        parts = Path(self.where).parts
        fixed = next(i for i, part in enumerate(parts) if ID in part or "*" in part)
        return Path(*parts[:fixed]) if fixed else Path(".")


def mask_place(feature: str, where: str | Path) -> MaskPlace:
    """Read NAME or NAME:KIND, and the folder or pattern.

    Raises:
        UsageError: the name is empty or that of the lesion, or the kind is none.
    """
    name, colon, kind = feature.partition(":")
    if colon and kind not in ("structure", "artifact"):
        raise UsageError(f"Expected NAME:structure or NAME:artifact, but got {feature!r}")
    if not name:
        raise UsageError(f"Expected NAME=DIR for the masks of a feature, but got {feature}={where}")
    if name == LESION:
        raise UsageError("Expected another name than lesion for masks; --lesion-masks takes those")
    given: Kind | None = "artifact" if kind == "artifact" else "structure" if colon else None
    return MaskPlace(name, str(where), given)


def with_masks(draft: Draft, places: Sequence[MaskPlace], root: Path, note: Note) -> Draft:
    """Add masks to the images of a draft, in place of those that it has of the same features.

    Args:
        draft: as its layout read it.
        places: where the masks are.
        root: folder of the data set; masks in a folder built like it are matched by their place.
        note: told for each feature how many images have a mask, and by which names.

    Raises:
        AnnotationError: a folder is not there, holds no mask of an image, or several for many.
        UsageError: a feature is metadata.
    """
    kinds = dict(draft.features)
    images = list(draft.images)
    keys = _Keys.of(images, root)
    listed: dict[Path, list[str]] = {}
    for place in places:
        if place.is_outlines:
            found = _outlines(place, keys, note)
        else:
            if place.folder not in listed:
                listed[place.folder] = _files(place, images)
            found = _find(place, keys, listed[place.folder], note)
        if place.feature == LESION:
            images = [replace(i, lesion=found.get(i.id, i.lesion)) for i in images]
            continue
        kinds[place.feature] = _kind(place, kinds.get(place.feature), images)
        images = [
            replace(i, masks={**i.masks, place.feature: found[i.id]}) if i.id in found else i
            for i in images
        ]
    return Draft(draft.labels, kinds, tuple(images))


def _kind(place: MaskPlace, known: Kind | None, images: Sequence[AnnotatedImage]) -> Kind:
    """Return the kind of a feature with masks; a column of 0 and 1 of that name is its presence."""
    kind = place.kind or ("artifact" if place.feature in ARTIFACTS else "structure")
    if known != "metadata":
        return place.kind or known or kind
    values = {image.values.get(place.feature) for image in images} - {None}
    if not values <= {0, 1}:
        raise UsageError(
            f"Expected another name for the masks of {place.feature!r}: there is a column of that "
            "name whose values do not say whether the feature is there"
        )
    return kind


@dataclass(frozen=True)
class _Keys:
    """By which names the images are known.

    Attributes:
        by_name: id, or the file's name, of those that are of one image -> id.
        by_place: the file's path below the root without ending -> id.
        total: number of images.
    """

    by_name: Mapping[str, str]
    by_place: Mapping[str, str]
    total: int

    @classmethod
    def of(cls, images: Sequence[AnnotatedImage], root: Path) -> _Keys:
        names: dict[str, set[str]] = defaultdict(set)
        places = {}
        for image in images:
            for name in (image.file.stem, image_key(image.file.name), image.id):
                names[name].add(image.id)
            if image.file.is_relative_to(root):
                places[image.file.relative_to(root).with_suffix("").as_posix()] = image.id
        by_name = {name: next(iter(ids)) for name, ids in names.items() if len(ids) == 1}
        return cls(by_name, places, len(images))

    def match(self, inside: str) -> tuple[str, str] | None:
        """Return the image that a path (without ending) names, and what it adds to its name."""
        folder, slash, stem = inside.rpartition("/")
        cuts = [len(stem), *(i for i in range(len(stem) - 1, 0, -1) if stem[i] in _SEPARATORS)]
        for cut in cuts:
            start = stem[:cut]
            image = self.by_place.get(folder + slash + start) or self.by_name.get(start)
            if image is not None:
                return image, stem[cut:]
        return None


def _files(place: MaskPlace, images: Sequence[AnnotatedImage]) -> list[str]:
    """Return the files below a place that are none of the images."""
    folder = place.folder
    if not is_place(folder):
        raise AnnotationError(
            f"Expected a folder of masks of {place.feature} at {folder}, but got "
            + ("a file" if folder.is_file() else "nothing there")
        )
    known = {image.file for image in images}
    return [str(path) for path in find_paths(folder, lambda _: None) if path not in known]


def _outlines(place: MaskPlace, keys: _Keys, note: Note) -> dict[str, Path | Rle]:
    """Return image id -> mask of the category of a feature, by the outlines of a JSON file."""
    masks = masks_by_file(Path(place.where), place.feature)
    found: dict[str, Path | Rle] = {}
    for name, mask in masks.items():
        match = keys.match(str(Path(name).with_suffix("").as_posix()))
        if match is not None and not match[1]:
            found[match[0]] = mask
    if not found:
        raise AnnotationError(
            f"Expected outlines of {place.feature} for the images, such as "
            f"{next(iter(keys.by_name), 'an id')}, in {place.where}, but it has "
            f"{next(iter(masks), 'no image')}"
        )
    note(f"{place.feature}: {len(found):,} of {keys.total:,} images are in {place.where}")
    return found


def _find(place: MaskPlace, keys: _Keys, files: Sequence[str], note: Note) -> dict[str, Path | Rle]:
    """Return image id -> mask file of one feature, and say what was found."""
    found = _by_pattern(place, keys, files) if ID in place.where else _by_name(place, keys, files)
    by_id: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image, form, file in found:
        by_id[image][form].append(file)
    if not by_id:
        shown = f", such as {Path(files[0]).name}," if files else ""
        raise AnnotationError(
            f"Expected masks of {place.feature} for the images, such as "
            f"{next(iter(keys.by_name), 'an id')}, in {place.where}, but none of its {len(files)} "
            f"files{shown} bears the id of one; say how they are called, as in "
            f"{place.folder.as_posix()}/{ID}_seg.png"
        )
    counted = Counter(form for forms in by_id.values() for form in forms)
    chosen = counted.most_common(1)[0][0]
    _refuse_ambiguous(place, by_id, counted, place.folder)
    masks = {image: forms[chosen] for image, forms in by_id.items() if chosen in forms}
    others = [
        file for forms in by_id.values() for form, some in forms.items() if form != chosen
        for file in some
    ]  # fmt: skip
    line = f"{place.feature}: {len(masks):,} of {keys.total:,} images have a mask, by {chosen}"
    if others:
        example = Path(others[0]).name
        line += f"; {len(others):,} files by other names, such as {example}, are left out"
    note(line)
    twice = [some for some in masks.values() if len(some) > 1]
    if twice:
        note(
            f"{place.feature}: {len(twice):,} images have several masks by {chosen}, such as "
            f"{' and '.join(twice[0][:3])}; the first is taken"
        )
    return {image: Path(some[0]) for image, some in masks.items()}


def _by_name(place: MaskPlace, keys: _Keys, files: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (image id, form of the name without ending, file) of those that begin with an id."""
    found = []
    for file in files:
        inside = Path(file).relative_to(place.folder).with_suffix("").as_posix()
        match = keys.match(inside)
        if match is not None:
            found.append((match[0], f"{ID}{match[1]}", file))
    return found


def _by_pattern(place: MaskPlace, keys: _Keys, files: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (image id, the pattern, file) of the files that are of the pattern."""
    inside = Path(place.where).relative_to(place.folder).as_posix()
    first, *rest = inside.split(ID)
    anywhere = {"*": "[^/]*"}

    def plain(text: str) -> str:
        return "".join(anywhere.get(letter, re.escape(letter)) for letter in text)

    pattern = plain(first) + "(?P<id>[^/]+?)" + "(?P=id)".join(map(plain, rest))
    found = []
    for file in files:
        match = re.fullmatch(pattern, Path(file).relative_to(place.folder).as_posix())
        image = keys.by_name.get(match["id"]) if match is not None else None
        if image is not None:
            found.append((image, inside, file))
    return found


def _refuse_ambiguous(
    place: MaskPlace,
    by_id: Mapping[str, Mapping[str, Sequence[str]]],
    counted: Counter[str],
    folder: Path,
) -> None:
    """Raise where many images have masks of several forms of names: which is meant is not known."""
    forms = [form for form, _ in counted.most_common()]
    both = sum(len(some) > 1 and forms[0] in some for some in by_id.values())
    if both > max(1, _AMBIGUOUS * counted[forms[0]]):
        raise AnnotationError(
            f"Expected one mask of {place.feature} an image in {folder}, but got {both} images "
            f"with several: {', '.join(forms[:4])}{' ...' if len(forms) > 4 else ''}; name one, as "
            f"in {folder.as_posix()}/{forms[0]}.*"
        )
