"""Data sets as they are downloaded: tables known by their columns, images by their ids.

ISIC and HAM10000 (`releases.py`), and others of one table and a folder of images (`published.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from xattn.annotations.frames import (
    TableFile,
    TableSpec,
    find_tables,
    image_keys,
    labels_of,
    open_table,
    read_kind,
)
from xattn.annotations.groups import join_groups
from xattn.annotations.layouts.isic_artifacts import artifact_masks
from xattn.annotations.layouts.isic_tables import ARTIFACTS, read_values
from xattn.annotations.layouts.published import PUBLISHED
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.releases import RELEASES, Release
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import images_below
from xattn.annotations.schema import Kind
from xattn.annotations.tables import read_table
from xattn.errors import AnnotationError, near

_TABLES = ("*.csv", "*.tab", "HAM10000_metadata")
"""What tables are called; that of HAM10000 has no ending in its archive."""


def _looks_like(release: Release, root: Path) -> bool:
    return any(release.truth.is_kind_of(table) for table in find_tables(root, _TABLES))


def _read(release: Release, sources: Sources, note: Note) -> Draft:
    """Read one release.

    Raises:
        AnnotationError: there is no table of classes, none of its images, or a table is damaged.
    """
    tables = find_tables(sources.root, _TABLES)
    truth = _truth(release, sources, tables, note)
    if sources.metadata is not None:
        tables = [_given(sources.metadata, release.more)]
    images = _images(sources, truth, note)
    spec = release.truth.with_label(list(truth.columns), sources.columns.label)
    classes, labels = labels_of(spec, truth, release.name)

    others = [(one, _read_all(one, tables, note)) for one in release.more]
    specs = [(spec, truth), *((one, frame) for one, frame in others if frame is not None)]
    values, groups, pairs = _values(specs), _groups(specs, sources.columns.group), _pairs(specs)
    images["label"] = labels.reindex(images.index)
    images["group"] = join_groups(
        images.index.tolist(), groups.reindex(images.index), pairs
    ).to_numpy()
    found = draft(images, values.reindex(images.index), classes, note, nominal=spec.nominal)
    return _with_artifacts(found, sources, note)


def _truth(
    release: Release, sources: Sources, tables: Sequence[TableFile], note: Note
) -> pd.DataFrame:
    if sources.labels is not None:
        tables = [_given(sources.labels, [release.truth])]
    truth = _read_all(release.truth, tables, note)
    if truth is None:
        raise AnnotationError(
            f"Expected a table of classes of {release.name} under {sources.root}, with "
            f"{_described(release.truth)}, but found none; name one with --labels"
        )
    return truth


def _given(path: Path, specs: Sequence[TableSpec]) -> TableFile:
    """Open a table that the user named, which must be of one of some kinds."""
    table = open_table(path)
    if not any(spec.is_kind_of(table) for spec in specs):
        kinds = ", or ".join(map(_described, specs)) or "nothing: this release has no such table"
        raise AnnotationError(f"Expected {kinds} in {path}, but got {', '.join(table.columns)}")
    return table


def _described(spec: TableSpec) -> str:
    if spec.first_line is not None:
        return f"lines of {spec.id},{spec.label} without a header"
    either = f" and {' or '.join((str(spec.label), *spec.label_or))}" if spec.label_or else ""
    return f"the columns {', '.join(spec.needed)}{either}"


def _read_all(spec: TableSpec, tables: Sequence[TableFile], note: Note) -> pd.DataFrame | None:
    alike = [table for table in tables if spec.is_kind_of(table)]
    if not alike and (spec.pair or spec.groups or spec.values):
        note(f"no table with {_described(spec)}")
    return read_kind(spec, alike, note) if alike else None


def _images(sources: Sources, truth: pd.DataFrame, note: Note) -> pd.DataFrame:
    """Return id and file of the table's images that are there, by their key."""
    root = sources.root
    listed = images_below(root, note, sources.mask_folders)
    found = pd.DataFrame(listed, columns=["folder", "name"])
    found["key"] = image_keys(found["name"].astype(str))
    found = found[found["key"].isin(truth.index)]
    twice = found["key"].duplicated()
    if twice.any():
        note(f"images: {twice.sum()} files of an id that another file has; the first is taken")
    found = found[~twice].sort_values("key").set_index("key")
    if found.empty:
        raise AnnotationError(
            f"Expected images of the table, such as {truth.index.min()}.jpg, under {root}, "
            "but found none"
        )
    if len(found) < len(truth):
        note(
            f"images: {len(truth) - len(found)} of {len(truth)} that the table names are not there"
        )
    parts = found["name"].str.rpartition(".")
    stems = parts[0].where(parts[1] == ".", parts[2])  # members of HDF5 files have no ending
    return pd.DataFrame({"id": stems, "file": found["folder"] + "/" + found["name"]})


def _values(specs: Sequence[tuple[TableSpec, pd.DataFrame]]) -> pd.DataFrame:
    """Return the features of all tables; of one that several have, the first that says it."""
    values = pd.DataFrame(index=specs[0][1].index)
    for spec, frame in specs:
        cells = {f: frame[c] for c, f in spec.values.items() if c in frame and c != spec.label}
        if spec.value_in_id is not None:
            feature, pattern = spec.value_in_id
            cells[feature] = frame.index.to_series().str.extract(f"^{pattern}$", expand=False)
        if spec.source is not None and spec.source[0] in frame:
            cells["dataset"] = _source(frame[spec.source[0]], spec.source[1])
        if "official_split" in frame and not spec.pair:
            cells["official_split"] = frame["official_split"]
        for feature, column in cells.items():
            column = column.reindex(values.index)
            values[feature] = values[feature].combine_first(column) if feature in values else column
    return values


def _source(cells: pd.Series, names: Mapping[str, str]) -> pd.Series:
    start = cells.str.extract(rf"^({'|'.join(names)})", expand=False)
    return start.map(dict(names))


def _groups(
    specs: Sequence[tuple[TableSpec, pd.DataFrame]], wanted: tuple[str, ...]
) -> pd.DataFrame:
    """Return the columns of groups: those of the release, or those that the user wants."""
    groups = pd.DataFrame(index=specs[0][1].index)
    if wanted == ("none",):
        return groups
    known = [c for _, frame in specs for c in frame.columns]
    for column in wanted:
        if column not in known:
            raise AnnotationError(
                f"Expected a column of the tables as a group, but got {column!r}"
                f"{near(column, known)}"
            )
    for spec, frame in specs:
        for column in wanted or spec.groups:
            if column in frame and not spec.pair:
                cells = frame[column].reindex(groups.index)
                groups[column] = groups[column].combine_first(cells) if column in groups else cells
        if spec.group_in_id is not None and not wanted:
            ids = frame.index.to_series()
            groups["id"] = ids.str.extract(f"^{spec.group_in_id}$", expand=False)
    return groups


def _pairs(specs: Sequence[tuple[TableSpec, pd.DataFrame]]) -> list[tuple[str, str]]:
    return [
        (first, second)
        for spec, frame in specs
        if spec.pair is not None
        for first, second in zip(frame.index, image_keys(frame[spec.pair]), strict=True)
    ]


def _with_artifacts(found: Draft, sources: Sources, note: Note) -> Draft:
    """Add human flags and pixel masks of artifacts, of the images that have them."""
    files = {image.id: image.file for image in found.images}
    flags = read_table(sources.flags, files, note) if sources.flags else None
    values = read_values(files, flags, None, note)
    masks = (
        artifact_masks(sources.artifact_masks, files, values, note)
        if sources.artifact_masks
        else {}
    )
    images = tuple(
        replace(image, values={**values[image.id], **image.values}, masks=masks.get(image.id, {}))
        for image in found.images
    )
    used = {name for image in images for name in (*values[image.id], *image.masks)}
    kinds: dict[str, Kind] = {name: "artifact" for name in ARTIFACTS if name in used}
    return Draft(found.labels, {**kinds, **found.features}, images)


_TAKEN = ("metadata", "labels", "columns.group", "columns.label")

for _release in (*RELEASES, *PUBLISHED):
    layout(
        _release.name,
        detect=partial(_looks_like, _release),
        takes=_TAKEN if _release in PUBLISHED else (*_TAKEN, "artifact_masks", "flags"),
        meaning=_release.meaning,
        domain=_release.domain,
    )(partial(_read, _release))
