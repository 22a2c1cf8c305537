"""Writing an annotation file: a line per image, so that differences can be read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from xattn.annotations.records import AnnotatedImage
from xattn.annotations.schema import SCHEMA, Feature, Kind, Rle
from xattn.disk import replacing, writing_to
from xattn.errors import AnnotationError
from xattn.paths import as_path


def write_annotations(
    path: str | Path,
    images: Iterable[AnnotatedImage],
    *,
    labels: Sequence[str] = (),
    features: Mapping[str, Feature | Kind] | None = None,
    domain: str | None = None,
) -> Path:
    """Write an annotation file that takes the old one's place only when it is whole.

    Args:
        path: the file to write; its folder is made.
        images: what is known of each; their paths are written relative to the file.
        labels: the reference classes.
        features: name -> `Feature` or its kind.
        domain: of the images, a name of `xattn.images.domains.DOMAINS`; None if it is not known.

    Returns:
        The path.

    Raises:
        AnnotationError: a value cannot be written as JSON, such as NaN.
        DiskError: the file cannot be written.
    """
    path = as_path(path, "an annotation file")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {k: v.kind if isinstance(v, Feature) else v for k, v in (features or {}).items()}
    relative = _Relative(path.parent)
    lines = [_dump(_entry(image, relative), image.id) for image in images]
    text = (
        f'{{"schema": {json.dumps(SCHEMA)},\n '
        + (f'"domain": {_dump(domain)},\n ' if domain else "")
        + f'"labels": {_dump(list(labels))},\n "features": {{'
        + ",".join(f'\n  {_dump(k)}: {{"kind": "{kind}"}}' for k, kind in kinds.items())
        + '},\n "images": ['
        + ",".join(f"\n  {line}" for line in lines)
        + "]}\n"
    )
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    return path


class _Relative:
    """Turns a path into one relative to a folder, through the real place of both if linked."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._seen = cache(self._as_seen)

    def __call__(self, path: Path) -> str:
        folder, name = os.path.split(path)
        return self._seen(folder) + name

    def _as_seen(self, folder: str) -> str:
        """Return the beginning of the paths of files in a folder."""
        place = os.path.realpath(folder or ".")
        with suppress(ValueError):  # another drive
            place = os.path.relpath(place, self._folder)
        return "" if place == "." else Path(place, "x").as_posix()[:-1]


def _entry(image: AnnotatedImage, relative: _Relative) -> dict[str, Any]:
    def place(mask: Path | Rle) -> Any:
        return mask.model_dump(mode="json") if isinstance(mask, Rle) else relative(mask)

    entry = {
        "id": image.id,
        "file": relative(image.file),
        "label": image.label if image.findings is None else list(image.findings),
        "unknown": list(image.unknown) or None,
        "group": image.group,
        "lesion": None if image.lesion is None else place(image.lesion),
        "masks": {name: place(mask) for name, mask in image.masks.items()},
        "values": dict(image.values),
    }
    return {key: value for key, value in entry.items() if value not in (None, {})}


def _dump(value: Any, image: str | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as err:
        where = f"image {image}: " if image else ""
        raise AnnotationError(
            f"{where}Expected values that JSON can hold, but got: {err}"
        ) from None


def _plain(value: Any) -> Any:
    """Turn a numpy scalar into a plain one."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__}")
