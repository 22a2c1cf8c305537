"""From a data set as it was downloaded to an annotation file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xattn.annotations import isic2018  # noqa: F401 -- registers its layout
from xattn.annotations.layouts import LAYOUTS, Sources
from xattn.annotations.read import read_annotations
from xattn.annotations.records import Annotations
from xattn.annotations.summary import Summary, summarise
from xattn.annotations.write import write_annotations
from xattn.errors import UsageError, near


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
    layout: str,
    root: str | Path,
    out: str | Path = "isic_attributes.json",
    *,
    artifact_masks: str | Path | None = None,
    flags: str | Path | None = None,
    metadata: str | Path | None = None,
    labels: str | Path | None = None,
) -> BuiltAnnotations:
    """Write an annotation file for a data set as people have it, and read it back.

    Args:
        layout: how the data set lies on disk; `LAYOUTS` has the names.
        root: its folder.
        out: the file to write.
        artifact_masks: folder of pixel masks of artifacts.
        flags: CSV of human presence flags of artifacts (and, unless `labels` is given, classes).
        metadata: CSV of age, sex, site and lesion ids.
        labels: CSV of the reference classes.

    Returns:
        The annotations, with a summary to print: `str(built)`.

    Raises:
        UsageError: the layout is unknown.
        AnnotationError: there are no images under `root`, or a table cannot be read.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"Unknown layout {layout!r}{near(layout, LAYOUTS)}")
    sources = Sources(
        Path(root),
        artifact_masks=_path(artifact_masks),
        flags=_path(flags),
        metadata=_path(metadata),
        labels=_path(labels),
    )
    notes: list[str] = []
    draft = LAYOUTS[layout](sources, notes.append)
    write_annotations(out, draft.images, labels=draft.labels, features=draft.features)
    read = read_annotations(out, strict=True)
    return BuiltAnnotations(
        read.path,
        read.labels,
        read.features,
        read.images,
        summary=summarise(read),
        notes=tuple(notes),
    )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
