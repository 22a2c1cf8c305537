"""The registry of layouts: how data sets lie on disk, and who can read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from xattn.annotations.listing import folders_in, is_place
from xattn.annotations.records import AnnotatedImage
from xattn.annotations.schema import Kind
from xattn.errors import AnnotationError, UsageError
from xattn.registry import Registry, meaning_of


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean, where the user says so.

    Attributes:
        file, id, label: names of columns, or None for what the layout takes.
        group: images that share a value in any of these are one group; ("none",) for no groups,
            () for what the layout takes.
    """

    file: str | None = None
    id: str | None = None
    label: str | None = None
    group: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Where the parts of a data set are found.

    Attributes:
        root: folder of the data set.
        artifact_masks: folder of pixel masks of artifacts, or None.
        flags: CSV of human presence flags of artifacts, or None.
        metadata: CSV of patient and acquisition data, or None.
        labels: CSV of reference classes, or None.
        csv: table of the layout "csv", or None.
        columns: what its columns mean.
        mask_folders: folders that the user named for their masks; nothing in them is an image,
            unless one holds the whole data set.
    """

    root: Path
    artifact_masks: Path | None = None
    flags: Path | None = None
    metadata: Path | None = None
    labels: Path | None = None
    csv: Path | None = None
    columns: Columns = Columns()
    mask_folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Draft:
    """What a layout found: the content of an annotation file to be."""

    labels: tuple[str, ...]
    features: dict[str, Kind]
    images: tuple[AnnotatedImage, ...]


Note: TypeAlias = Callable[[str], None]
"""Takes a line about what was dropped or not found."""

Read: TypeAlias = Callable[[Sources, Note], Draft]
Detect: TypeAlias = Callable[[Path], bool]


@dataclass(frozen=True)
class Layout:
    """One way in which a data set lies on disk.

    Attributes:
        name: as the user says it.
        meaning: one line.
        read: makes a draft of it.
        detect: says whether a folder looks like it; None if that cannot be seen.
        takes: fields of `Sources` that it reads, beside the root.
        rank: of several layouts that a folder looks like, the highest is meant.
        domain: of its images, a name of `xattn.images.domains.DOMAINS`; None if any.
    """

    name: str
    meaning: str
    read: Read
    detect: Detect | None = None
    takes: frozenset[str] = frozenset()
    rank: int = 1
    domain: str | None = None


LAYOUTS: Registry[Layout] = Registry(
    "layout",
    package="xattn.annotations.layouts",
    first=(
        "camelyon17",
        "image_folder",
        "csv_table",
        "isic",
        "isic2018",
        "derm7pt",
        "ph2",
        "chest_films",
        "patchcamelyon",
        "coco",
        "label_maps",
        "medmnist",
    ),
)


def layout(
    name: str,
    *,
    detect: Detect | None = None,
    takes: tuple[str, ...] = (),
    rank: int = 1,
    meaning: str = "",
    domain: str | None = None,
) -> Callable[[Read], Read]:
    """Register a function that reads a layout; see `Layout` for the arguments."""
    return LAYOUTS.register(
        name,
        lambda read: Layout(
            name, meaning_of(read, meaning), read, detect, frozenset(takes), rank, domain
        ),
    )


def find_layout(name: str | None, root: Path, note: Note) -> Layout:
    """Return a layout by its name, or the one that a folder looks like.

    Raises:
        UsageError: the name is unknown, or the folder looks like several.
        AnnotationError: the folder is not there, or looks like none.
    """
    layout = None if name is None else LAYOUTS.find(name)
    if not is_place(root) and (layout is None or not root.exists()):
        there = "a file; a table is given by --csv" if root.is_file() else "nothing there"
        raise AnnotationError(f"Expected a folder or an archive at {root}, but got {there}")
    if layout is not None:
        return layout
    best = _alike(root)
    if not best:
        inner = folders_in(root)
        inside = root / inner[0] if len(inner) == 1 else None
        if inside is not None and (found := _alike(inside)):
            raise AnnotationError(
                f"Expected a data set of a known layout in {root}, but its only folder looks like "
                f"{found[0].name}; name that one: {inside}"
            )
        raise AnnotationError(
            f"Expected a data set of a known layout in {root}, but it looks like none of "
            f"{', '.join(sorted(LAYOUTS))}; name its layout with --layout"
        )
    if len(best) > 1:
        raise UsageError(
            f"Expected a data set of one layout in {root}, but it looks like "
            f"{' and '.join(one.name for one in best)}; name one with --layout"
        )
    note(f"layout: {best[0].name}, as the folder looks")
    return best[0]


def _alike(root: Path) -> list[Layout]:
    """Return the layouts of the highest rank that a folder looks like."""
    best: list[Layout] = []
    for rank in sorted({one.rank for one in LAYOUTS.values()}, reverse=True):
        peers = [one for one in LAYOUTS.values() if one.rank == rank]
        best = best or [one for one in peers if one.detect is not None and one.detect(root)]
    return best
