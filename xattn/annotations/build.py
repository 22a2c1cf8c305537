"""From a data set as it was downloaded to an annotation file."""

from __future__ import annotations

from pathlib import Path

from xattn.annotations import isic2018  # noqa: F401 -- registers its layout
from xattn.annotations.layouts import LAYOUTS, Note, Sources
from xattn.annotations.read import read_annotations
from xattn.annotations.records import Annotations
from xattn.annotations.write import write_annotations
from xattn.errors import UsageError, near


def build_annotations(
    layout: str,
    root: str | Path,
    out: str | Path = "isic_attributes.json",
    *,
    artifact_masks: str | Path | None = None,
    flags: str | Path | None = None,
    metadata: str | Path | None = None,
    labels: str | Path | None = None,
    on_note: Note | None = None,
) -> Annotations:
    """Write an annotation file for a data set as people have it, and read it back.

    Args:
        layout: how the data set lies on disk; `LAYOUTS` has the names.
        root: its folder.
        out: the file to write.
        artifact_masks: folder of pixel masks of artifacts.
        flags: CSV of human presence flags of artifacts (and, unless `labels` is given, classes).
        metadata: CSV of age, sex, site and lesion or patient ids.
        labels: CSV of the reference classes.
        on_note: called with a line for everything that was dropped or not found.

    Returns:
        The annotations; `summarise` counts what is in them.

    Raises:
        UsageError: the layout is unknown.
        AnnotationError: there are no images under `root`, or a table cannot be read.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"Unknown layout {layout!r}{near(layout, LAYOUTS)}")
    sources = Sources(
        Path(root),
        *(None if p is None else Path(p) for p in (artifact_masks, flags, metadata, labels)),
    )
    draft = LAYOUTS[layout](sources, on_note or (lambda _: None))
    write_annotations(out, draft.images, labels=draft.labels, features=draft.features)
    return read_annotations(out, strict=True)
