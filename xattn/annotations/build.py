"""From a data set as it was downloaded to an annotation file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from xattn.addresses.doors import local
from xattn.annotations.given_masks import MaskPlace, mask_place, with_masks
from xattn.annotations.layouts.registry import (
    LAYOUTS,
    Columns,
    Draft,
    Layout,
    Note,
    Sources,
    find_layout,
)
from xattn.annotations.names import reserved_names
from xattn.annotations.read import read_annotations
from xattn.annotations.records import LESION, Annotations
from xattn.annotations.summary import Summary, summarise
from xattn.annotations.write import write_annotations
from xattn.errors import AnnotationError, UsageError, near
from xattn.images.domains import DOMAINS, guess_domain
from xattn.paths import as_path

__all__ = ["LAYOUTS", "BuiltAnnotations", "as_binary", "build_annotations"]


@dataclass(frozen=True)
class BuiltAnnotations(Annotations):
    """Annotations that were just built, and what was seen on the way.

    Attributes:
        summary: what is in the file, counted.
        notes: a line for everything that was dropped or not found.
    """

    summary: Summary | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the summary and the notes, to print."""
        lines = [f"{self.path}: {self.summary}"]
        lines += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)


def build_annotations(
    layout: str | None,
    root: str | Path | None,
    out: str | Path = "isic_attributes.json",
    *,
    lesion_masks: str | Path | None = None,
    masks: Mapping[str, str | Path] | None = None,
    artifact_masks: str | Path | None = None,
    flags: str | Path | None = None,
    metadata: str | Path | None = None,
    labels: str | Path | None = None,
    csv: str | Path | None = None,
    columns: Columns | None = None,
    positive: Sequence[str] = (),
    names: tuple[str, str] | None = None,
    exclude: Sequence[str] = (),
    domain: str | None = None,
) -> BuiltAnnotations:
    """Write an annotation file for a data set as people have it, and read it back.

    Args:
        layout: how the data set lies on disk; `LAYOUTS` has the names, None detects it.
        root: its folder; None for that of `csv`.
        out: the file to write.
        lesion_masks: folder of the lesions' masks, for any layout, whose names begin with the
            image's id; or a pattern of their paths with `{id}` in it, and `*` for what varies.
        masks: the same by feature; "NAME:artifact" or "NAME:structure" says its kind, else
            artifacts of `isic_tables.ARTIFACTS` are known by their name and all others structures.
        artifact_masks: folder of pixel masks of artifacts, as Pahde et al. publish them.
        flags: CSV of human presence flags of artifacts (and, unless `labels` is given, classes).
        metadata: CSV of age, sex, site and lesion ids.
        labels: CSV of the reference classes.
        csv: the table of the layout "csv".
        columns: what columns mean; `Columns.group` for most layouts, all of it for "csv".
        positive: positive classes; all others are merged. () keeps the classes as they are.
        names: of the others and of the positive; "other" and their names joined if None.
        exclude: features that the file shall not have.
        domain: of the images, a name of `xattn.images.domains.DOMAINS`; None for that of the
            layout, else what the images look like, if that leaves no doubt.

    Returns:
        The annotations, with a summary to print: `str(built)`.

    Raises:
        UsageError: the layout is unknown, or one of the sources is not for it; a class, or a
            feature to exclude, is unknown.
        AnnotationError: there are no images under `root`, a table cannot be read, or a folder of
            masks holds none of an image; a label or feature has a name that tables use.

    Examples:
        A folder per class becomes an annotation file.

        >>> built = xattn.build_annotations("imagefolder", "patches", "patches.json")
        >>> len(built.images), built.labels
        (4, ('normal', 'tumor'))
    """
    if root is None and csv is None:
        raise UsageError("Expected the folder of a data set, but got neither it nor a table (csv)")
    places = [MaskPlace(LESION, str(local(lesion_masks)))] if lesion_masks is not None else []
    places += [mask_place(name, local(where)) for name, where in (masks or {}).items()]
    sources = Sources(
        as_path(root, "a folder") if root is not None else as_path(csv, "a table").parent,
        artifact_masks=_path(artifact_masks),
        flags=_path(flags),
        metadata=_path(metadata),
        labels=_path(labels),
        csv=_path(csv),
        columns=columns or Columns(),
        mask_folders=tuple(place.folder for place in places),
    )
    notes: list[str] = []
    if layout is None and csv is not None:
        layout = "csv"
    chosen = find_layout(layout, sources.root, notes.append)
    _expect_taken(chosen, sources)
    draft = chosen.read(sources, notes.append)
    if places:
        draft = with_masks(draft, places, sources.root, notes.append)
    if positive:
        draft = as_binary(draft, positive, names)
    elif names is not None:
        raise UsageError("Expected names of two classes with --positive, but got them alone")
    if exclude:
        draft = without(draft, exclude)
    for key, message in reserved_names(draft.labels, draft.features):
        way_out = "; leave the column out with --exclude" if key.startswith("features") else ""
        raise AnnotationError(f"{key}: {message}{way_out}, or rename it in the data set")
    if domain is not None:
        DOMAINS.find(domain)
    shown = domain or chosen.domain or _as_it_looks(draft, notes.append)
    write_annotations(out, draft.images, labels=draft.labels, features=draft.features, domain=shown)
    read = read_annotations(out, strict=True)
    return BuiltAnnotations(
        read.path,
        read.labels,
        read.features,
        read.images,
        summary=summarise(read),
        notes=tuple(notes),
        domain=shown,
    )


def _as_it_looks(draft: Draft, note: Note) -> str | None:
    domain = guess_domain([image.file for image in draft.images])
    if domain is not None:
        note(f"domain: {domain}, as the images look; --domain names another")
    return domain


def as_binary(draft: Draft, positive: Sequence[str], names: tuple[str, str] | None = None) -> Draft:
    """Tell some classes from all others; images without a label stay without one.

    Args:
        draft: with its classes.
        positive: classes of it.
        names: of the others and of the positive.

    Raises:
        UsageError: a class is unknown, none or all are positive, or the names are one.
    """
    for name in positive:
        if name not in draft.labels:
            raise UsageError(f"Unknown class {name!r}{near(name, draft.labels)}")
    if any(image.findings is not None for image in draft.images):
        raise UsageError(
            "Expected one class per image to merge classes, but images have lists of findings"
            "; each of these is a question of its own"
        )
    if set(positive) >= set(draft.labels):
        raise UsageError(f"Expected some classes as positive, but got all: {', '.join(positive)}")
    other, joined = names or ("other", "+".join(dict.fromkeys(positive)))
    if other == joined:
        raise UsageError(f"Expected two names of classes, but got {other!r} twice")
    images = tuple(
        image
        if image.label is None
        else replace(image, label=joined if image.label in positive else other)
        for image in draft.images
    )
    return Draft((other, joined), draft.features, images)


def without(draft: Draft, exclude: Sequence[str]) -> Draft:
    """Leave features out.

    Raises:
        UsageError: there is no feature of that name.
    """
    for name in exclude:
        if name not in draft.features:
            raise UsageError(
                f"Expected a feature to exclude, but got {name!r}{near(name, draft.features)}"
            )
    images = tuple(
        replace(
            image,
            masks={k: mask for k, mask in image.masks.items() if k not in exclude},
            values={k: value for k, value in image.values.items() if k not in exclude},
        )
        for image in draft.images
    )
    features = {name: kind for name, kind in draft.features.items() if name not in exclude}
    return Draft(draft.labels, features, images)


def _expect_taken(layout: Layout, sources: Sources) -> None:
    """Refuse sources that the layout does not read: they would be lost without a word."""
    given = {f.name for f in fields(sources) if getattr(sources, f.name) is not None}
    given |= {f"columns.{f.name}" for f in fields(Columns) if getattr(sources.columns, f.name)}
    unused = sorted(given - layout.takes - {"root", "columns", "mask_folders"})
    if unused:
        words = {name: f"--{name.replace('_', '-')}" for name in unused}
        words |= {f"columns.{f.name}": f"--{f.name}-column" for f in fields(Columns)}
        raise UsageError(
            f"Expected what the layout {layout.name} reads, but got "
            f"{', '.join(words[name] for name in unused)}, which it does not"
        )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else as_path(path, "a file or folder")
