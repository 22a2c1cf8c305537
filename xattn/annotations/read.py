"""Reading and checking an annotation file: the good images go on, each problem is told."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xattn.annotations.headers import read_header
from xattn.annotations.listing import Listing
from xattn.annotations.names import reserved_names
from xattn.annotations.problems import Problem, describe
from xattn.annotations.records import (
    LESION,
    AnnotatedImage,
    Annotations,
    aspect_problem,
    mask_header,
    mask_key,
)
from xattn.annotations.schema import (
    AnnotationFile,
    Feature,
    ImageEntry,
    Rle,
    Value,
    describe_error,
)
from xattn.documents import read_json
from xattn.errors import AnnotationError, ImageError, near
from xattn.images.decode import read_mask
from xattn.images.prefetch import prefetch
from xattn.paths import as_path

_MOST_DECODED = 20

_METADATA = Feature(kind="metadata")
_Image = tuple[AnnotatedImage, list[Problem]]


def read_annotations(
    path: str | Path, *, strict: bool = False, on_problem: Callable[[Problem], None] | None = None
) -> Annotations:
    """Read an annotation file; no image or mask is opened.

    An image with a problem (an unknown key, an id that was there before, a file that is missing, a
    label or feature that was not declared, a value of the wrong type) is left out; its problems go
    to `on_problem` and into the result's `problems`. A value of a feature that was not declared
    makes it metadata, unless its name is nearly that of a declared one.

    Args:
        path: the file; paths in it are relative to it.
        strict: raise on any problem.
        on_problem: called with each problem of an image that is left out.

    Returns:
        The annotations: `images` in the order of the file, `labels`, `features` by name.

    Raises:
        AnnotationError: the file is missing, no JSON, of another schema, or has an unknown key;
            every image has a problem; with `strict`, anything at all is wrong.

    Examples:
        >>> annotations = xattn.read_annotations("isic_attributes.json")
        >>> annotations.labels
        ('benign', 'malignant')
        >>> annotations.presence("SYN_0000000", "ruler")
        True
    """
    path = as_path(path, "an annotation file")
    file, problems = _parse(path)
    if file is None:
        raise AnnotationError(describe(path, problems))
    annotations = _assemble(path, file)
    problems = list(annotations.problems)
    if problems and (strict or not annotations.images):
        raise AnnotationError(describe(path, problems))
    if on_problem is not None:
        for problem in problems:
            on_problem(problem)
    return annotations


def check_annotations(path: str | Path, *, workers: int = 4, headers: bool = True) -> list[Problem]:
    """Find everything that is wrong with an annotation file, its images and its masks.

    Beyond what `read_annotations` finds, the header of every image and mask is read: files that
    cannot be decoded, and masks of another aspect ratio than their image. Of each feature twenty
    masks are decoded, evenly spread over the file: what a tool writes in a form of its own, it
    writes so every time. Other pixels are not decoded.

    Args:
        path: the file.
        workers: threads that read headers.
        headers: False opens no file and finds no more than `read_annotations` does.

    Returns:
        The problems in the order of the file; empty if all is well.
    """
    path = as_path(path, "an annotation file")
    file, problems = _parse(path)
    if file is None:
        return problems
    annotations = _assemble(path, file)
    if not headers:
        return list(annotations.problems)
    opened = prefetch(_open_headers, annotations.images, workers)
    by_header = [problem for found in opened for problem in found]
    known = {(problem.image, problem.key) for problem in by_header}
    drawn = [one for one in _drawn(annotations) if (one[0], mask_key(one[1])) not in known]
    by_pixels = prefetch(lambda one: _decode_mask(*one), drawn, workers)
    return [
        *annotations.problems,
        *by_header,
        *(problem for problem in by_pixels if problem is not None),
    ]


def _drawn(annotations: Annotations) -> list[tuple[str, str, Path]]:
    """Return (image id, feature, file) of the masks of each feature that are looked into."""
    places: dict[str, list[tuple[str, str, Path]]] = defaultdict(list)
    for image in annotations.images:
        for feature in (LESION, *image.masks):
            entry = image.mask_entry(feature)
            if isinstance(entry, Path):
                places[feature].append((image.id, feature, entry))
    return [one for found in places.values() for one in found[:: -(-len(found) // _MOST_DECODED)]]


def _decode_mask(image_id: str, feature: str, path: Path) -> Problem | None:
    try:
        read_mask(path)
    except ImageError as err:
        return Problem(image_id, mask_key(feature), str(err))
    return None


def _parse(path: Path) -> tuple[AnnotationFile | None, list[Problem]]:
    """Read the file as a whole: the content, or what is wrong with it."""
    if not path.exists():
        return None, [Problem(None, "", "Expected an annotation file, but got nothing there")]
    try:
        content = read_json(path, "an annotation file", AnnotationError)
        file = AnnotationFile.model_validate(content)
    except ValidationError as err:
        return None, [Problem(None, *found) for found in describe_error(err, AnnotationFile)]
    except AnnotationError as err:
        return None, [
            Problem(None, "", str(err).replace(f" in {path}", "").replace(f" at {path}", ""))
        ]
    problems = []
    for i, label in enumerate(file.labels):
        if label in file.labels[:i]:
            problems.append(Problem(None, f"labels[{i}]", f"Expected every label once: {label!r}"))
    kinds = {name: feature.kind for name, feature in file.features.items()}
    for key, message in reserved_names(file.labels, kinds):
        problems.append(Problem(None, key, message))
    if not file.images:
        problems.append(Problem(None, "images", "Expected at least one image, but got none"))
    return (None, problems) if problems else (file, [])


def _assemble(path: Path, file: AnnotationFile) -> Annotations:
    """Check the images one by one, then against each other."""
    features = dict(file.features)
    read: list[_Image] = []
    listing = Listing()
    seen: dict[str, int] = {}
    for i, raw in enumerate(file.images):
        try:
            entry = ImageEntry.model_validate(raw)
        except ValidationError as err:
            name = _name(raw, i)
            problems = [Problem(name, *found) for found in describe_error(err, ImageEntry)]
            read.append((AnnotatedImage(name, path), problems))
            continue
        image, problems = _image(entry, path.parent), list(_entry_problems(entry, file))
        problems += _missing_files(image, listing)
        if image.id in seen:
            first = f"images[{seen[image.id]}]"
            problems.insert(
                0, Problem(image.id, "id", f"Expected every id once, but {first} has it")
            )
        seen.setdefault(image.id, i)
        if not problems:
            undeclared = image.values.keys() - features.keys()
            features |= {name: _METADATA for name in image.values if name in undeclared}
        read.append((image, problems))
    _mark_mixed_types(read)
    good = tuple(image for image, problems in read if not problems)
    every = tuple(problem for _, problems in read for problem in problems)
    return Annotations(path, tuple(file.labels), features, good, every, file.domain)


def _name(raw: Any, position: int) -> str:
    named = isinstance(raw, dict) and isinstance(raw.get("id"), str) and raw["id"]
    return str(raw["id"]) if named else f"images[{position}]"


def _image(entry: ImageEntry, base: Path) -> AnnotatedImage:
    def place(mask: str | Rle) -> Path | Rle:
        return mask if isinstance(mask, Rle) else base / mask

    return AnnotatedImage(
        id=entry.id,
        file=base / entry.file,
        label=entry.label if isinstance(entry.label, str) else None,
        findings=entry.label if isinstance(entry.label, tuple) else None,
        unknown=tuple(entry.unknown),
        group=entry.group,
        lesion=None if entry.lesion is None else place(entry.lesion),
        masks={k: place(mask) for k, mask in entry.masks.items() if mask is not None},
        values={k: value for k, value in entry.values.items() if value is not None},
    )


def _entry_problems(entry: ImageEntry, file: AnnotationFile) -> Iterator[Problem]:
    named = entry.label if isinstance(entry.label, tuple) else (entry.label,)
    for key, names in (("label", named), ("unknown", entry.unknown)):
        for name in names:
            if name is not None and name not in file.labels:
                hint = near(name, file.labels) if file.labels else "; the file has no `labels`"
                message = f"Expected one of the file's labels, but got {name!r}{hint}"
                yield Problem(entry.id, key, message)
    for name in entry.unknown:
        if name in named:
            message = f"Expected findings that the label does not name, but got {name!r}"
            yield Problem(entry.id, "unknown", message)
    for name in entry.masks:
        if name not in file.features:
            yield Problem(entry.id, f"masks.{name}", _undeclared(name, file))
        elif file.features[name].kind == "metadata":
            message = "Expected masks of structures and artifacts only, but this is metadata"
            yield Problem(entry.id, f"masks.{name}", message)
    for name, value in entry.values.items():
        if value is None:
            continue
        if name not in file.features:
            if _mistyped(name, tuple(file.features)):
                yield Problem(entry.id, f"values.{name}", _undeclared(name, file))
        elif file.features[name].kind != "metadata" and (isinstance(value, str) or value < 0):
            message = f"Expected 0 (absent) or a number above (present), but got {value!r}"
            yield Problem(entry.id, f"values.{name}", message)


def _undeclared(name: str, file: AnnotationFile) -> str:
    hint = near(name, file.features) if file.features else "; the file has no `features`"
    return f"Expected a feature that the file's `features` declare, but got {name!r}{hint}"


@lru_cache(maxsize=256)
def _mistyped(name: str, known: tuple[str, ...]) -> bool:
    return bool(difflib.get_close_matches(name, known, n=1, cutoff=0.85))


def _missing_files(image: AnnotatedImage, listing: Listing) -> Iterator[Problem]:
    places: list[tuple[str, Path | Rle | None]] = [("file", image.file), (LESION, image.lesion)]
    places += [(mask_key(name), mask) for name, mask in image.masks.items()]
    for key, place in places:
        if isinstance(place, Path) and not listing.has(place):
            message = f"Expected a file at {place}, but got nothing there"
            yield Problem(image.id, key, message)


def _mark_mixed_types(read: list[_Image]) -> None:
    """Report a value that is text where most others of its feature are numbers, or reverse."""
    counts: Counter[tuple[str, bool]] = Counter()
    for image, problems in read:
        if not problems:
            counts.update((name, _is_text(value)) for name, value in image.values.items())
    mixed = {name for name, text in counts if (name, not text) in counts}
    for image, problems in read if mixed else ():
        for name in mixed & image.values.keys():
            text = _is_text(image.values[name])
            if not problems and (counts[name, text], text) < (counts[name, not text], not text):
                wanted = "a number" if text else "a text"
                message = f"Expected {wanted} as elsewhere, but got {image.values[name]!r}"
                problems.append(Problem(image.id, f"values.{name}", message))


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _open_headers(image: AnnotatedImage) -> list[Problem]:
    """Read the headers of one image and its masks; return what is wrong with them."""
    try:
        header = read_header(image.file)
    except ImageError as err:
        return [Problem(image.id, "file", str(err))]
    entries = {} if image.lesion is None else {LESION: image.lesion}
    entries |= image.masks
    problems = []
    for feature, entry in entries.items():
        try:
            problem = aspect_problem(image.id, feature, mask_header(entry), header)
        except ImageError as err:
            problem = Problem(image.id, mask_key(feature), str(err))
        problems += [problem] if problem is not None else []
    return problems
