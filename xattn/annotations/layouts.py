"""The registry of layouts: how data sets lie on disk, and who can read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from xattn.annotations.records import AnnotatedImage
from xattn.annotations.schema import Kind


@dataclass(frozen=True)
class Sources:
    """Where the parts of a data set are found.

    Attributes:
        root: folder of the data set.
        artifact_masks: folder of pixel masks of artifacts, or None.
        flags: CSV of human presence flags of artifacts, or None.
        metadata: CSV of patient and acquisition data, or None.
        labels: CSV of reference classes, or None.
    """

    root: Path
    artifact_masks: Path | None = None
    flags: Path | None = None
    metadata: Path | None = None
    labels: Path | None = None


@dataclass(frozen=True)
class Draft:
    """What a layout found: the content of an annotation file to be."""

    labels: tuple[str, ...]
    features: dict[str, Kind]
    images: tuple[AnnotatedImage, ...]


Note: TypeAlias = Callable[[str], None]
"""Takes a line about what was dropped or not found."""

Layout: TypeAlias = Callable[[Sources, Note], Draft]

LAYOUTS: dict[str, Layout] = {}


def layout(name: str) -> Callable[[Layout], Layout]:
    """Register a layout under a name: `@layout("isic2018")` on its function."""

    def register(read: Layout) -> Layout:
        LAYOUTS[name] = read
        return read

    return register
