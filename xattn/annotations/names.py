"""Names that features and labels cannot have: the tables and folders of an analysis use them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from xattn.annotations.records import LESION
from xattn.annotations.schema import Kind

ALL = "all"
"""Label of the rows of a table that are over all images."""

_COLUMNS = {
    "image_id": "it is the column of ids in every table",
    "label": "an image has the key 'label' for it",
    "group": "an image has the key 'group' for it",
    LESION: "an image has the key 'lesion' for that mask",
}
_CONTROLS = ("control-noise", "control-label-noise", "control-patch")
_PARTS = (".area", ".count", ".masked")
"""Ends of the columns in which an analysis keeps what it measures of a mask."""


def reserved_names(
    labels: Collection[str], features: Mapping[str, Kind]
) -> Iterator[tuple[str, str]]:
    """Yield (key of the annotation file, what is wrong with a name there)."""
    for i, label in enumerate(labels):
        if label == ALL:
            yield (
                f"labels[{i}]",
                f"Expected another name than {label!r}: tables call the rows over all images so",
            )
    for name, kind in features.items():
        why = _why_not(name, kind, features)
        if why:
            yield f"features.{name}", f"Expected another name: {why}"


def _why_not(name: str, kind: Kind, features: Mapping[str, Kind]) -> str:
    if name in _COLUMNS:
        return _COLUMNS[name]
    if name in _CONTROLS:
        return "a control of the analysis is called so"
    # Masks are stored by name, in a folder each.
    if kind != "metadata" and (name.startswith(".") or set(name) & {"/", "\\"}):
        return "no folder can be called so, which its masks need"
    for end in _PARTS:
        base = name.removesuffix(end)
        if base != name and features.get(base, "metadata") != "metadata":
            return f"what is measured of the masks of {base!r} is called so"
    return ""
