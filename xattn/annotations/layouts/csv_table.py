"""Any table with a row per image."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from xattn.annotations.frames import open_table, read_frame
from xattn.annotations.groups import join_groups
from xattn.annotations.layouts.image_folder import unique_ids
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import Listing, below, images_below
from xattn.annotations.matching import bare, examples, match_ids
from xattn.errors import AnnotationError, Remark, UsageError, near
from xattn.images.ids import distinct_ids


@layout("csv", takes=("csv", "columns.file", "columns.id", "columns.label", "columns.group"))
def csv_table(sources: Sources, note: Note) -> Draft:
    """Read a table; every column that has no other role becomes metadata.

    Files are named by the file column, relative to the root, or found under the root by the id
    column. Ids come from the id column, else from the file's name.

    Raises:
        UsageError: neither a file nor an id column was named.
        AnnotationError: a column is not there, or none of the images.
    """
    roles = sources.columns
    if sources.csv is None or not (roles.file or roles.id):
        raise UsageError(
            "Expected --csv with --file-column or --id-column for the layout csv, but got "
            + ("no --csv" if sources.csv is None else "neither column")
        )
    group = () if roles.group == ("none",) else roles.group
    texts = [*filter(None, (roles.file, roles.id, roles.label)), *group]
    rows = read_frame(open_table(sources.csv), note=note, texts=texts)
    for column in filter(None, (roles.file, roles.id, roles.label, *group)):
        if column not in rows:
            raise AnnotationError(
                f"Expected a column {column!r} in {sources.csv}, but got no such"
                f"{near(column, map(str, rows.columns))}"
            )
    key = str(roles.file or roles.id)
    nameless = rows[[c for c in (roles.file, roles.id) if c]].isna().any(axis=1)
    if nameless.any():
        note(f"{sources.csv.name}: {nameless.sum()} rows without a cell of {key} are left out")
    rows = rows[~nameless].reset_index(drop=True)
    files = _files(rows[key], bool(roles.file), sources, note)
    rows, files = _there(rows, files, sources, note)
    rows, files = _once(rows, files, roles.label, note)
    images = pd.DataFrame({"file": files})
    images["id"] = rows[roles.id] if roles.id else unique_ids(rows[key], note)
    twice = images["id"].duplicated()
    if twice.any():
        note(f"{sources.csv.name}: {twice.sum()} rows of an id that was there; the first is taken")
    images["label"] = rows[roles.label] if roles.label else None
    images, rows = images[~twice].reset_index(drop=True), rows[~twice].reset_index(drop=True)
    images["group"] = join_groups(images["id"].tolist(), rows[list(group)]) if group else None
    taken = {roles.file, roles.id, roles.label, *group}
    values = rows[[c for c in rows.columns if c and c not in taken]]
    return draft(images, values, sorted(set(images["label"].dropna())), note)


def _files(cells: pd.Series, are_paths: bool, sources: Sources, note: Note) -> pd.Series:
    """Return the files that cells name, missing where there is none.

    Paths are relative to the root unless they are absolute. What is not there, and ids, are looked
    for by name under the root.
    """
    files = pd.Series(None, index=cells.index, dtype=object)
    if are_paths:
        paths = cells.str.replace("\\", "/")
        paths = paths.where(paths.str.match(r"/|[A-Za-z]:/"), f"{sources.root}/" + paths)
        has = Listing().has
        found = [path if has(path) else None for path in paths]
        files = pd.Series(found, index=cells.index, dtype=object)
        if files.notna().all():
            return files
    left = cells[files.isna()]
    named = left.map(_by_name(left.unique().tolist(), sources, note))
    return files.fillna(named.astype(object))


def _by_name(wanted: list[str], sources: Sources, note: Note) -> dict[str, str]:
    """Return name -> file of those names that a file under the root bears."""
    listed = images_below(sources.root, note, sources.mask_folders)
    paths = [f"{folder}/{name}" for folder, name in listed]
    ids = distinct_ids(below(sources.root, paths))
    matched = match_ids(wanted, ids)
    place = {one: i for i, one in enumerate(ids)}
    found = [
        at if at is not None else place.get(_joined(one))
        for one, at in zip(wanted, matched.place, strict=True)
    ]
    stems = Counter(bare(name) for _, name in listed)
    shared = [
        one for one, at in zip(wanted, found, strict=True) if at is None and stems[bare(one)] > 1
    ]
    if shared:
        note(
            f"images: {len(shared):,} rows name files of which there are several, such as "
            f"{shared[0]!r}; write the folder before the name, or take --file-column"
        )
    if matched.spelled:
        one, other = matched.spelled[0]
        note(
            Remark(
                f"images: {len(matched.spelled):,} files are spelled otherwise in the table, such "
                f"as {one!r} for {other!r}"
            )
        )
    return {one: paths[at] for one, at in zip(wanted, found, strict=True) if at is not None}


def _joined(path: str) -> str:
    """Return the id that `distinct_ids` gives to a path whose name others share."""
    folder, slash, name = path.replace("\\", "/").strip("/").rpartition("/")
    return f"{folder}{slash}{bare(name)}".replace("/", "__")


def _once(
    rows: pd.DataFrame, files: pd.Series, label: str | None, note: Note
) -> tuple[pd.DataFrame, pd.Series]:
    """Leave one row a file, and none of files whose rows contradict each other in the label."""
    again = files.duplicated(keep=False)
    if not again.any():
        return rows, files
    labels = rows[label] if label else pd.Series("", index=rows.index)
    torn = labels.groupby(files).transform("nunique") > 1
    if torn.any():
        first = files[torn].iloc[0]
        said = " and ".join(repr(one) for one in labels[files == first].dropna().unique()[:3])
        note(
            f"images: {files[torn].nunique():,} files are left out, whose rows contradict each "
            f"other in {label}: {Path(first).name} is {said}"
        )
    if (again & ~torn).any():
        count = int((files.duplicated() & ~torn).sum())
        note(f"images: {count:,} rows name a file that was there; the first is taken")
    kept = ~files.duplicated() & ~torn
    if not kept.any():
        raise AnnotationError(
            f"Expected files with one {label} each, but the rows of all {files.nunique()} "
            "contradict each other; leave one row a file"
        )
    return rows[kept].reset_index(drop=True), files[kept].reset_index(drop=True)


def _there(
    rows: pd.DataFrame, files: pd.Series, sources: Sources, note: Note
) -> tuple[pd.DataFrame, pd.Series]:
    """Leave out the rows whose file is not there."""
    there = files.notna().to_numpy()
    if not there.any():
        example = rows.iloc[0].to_dict() if len(rows) else "no row"
        listed = images_below(sources.root, lambda _: None, sources.mask_folders)
        first = f"the first image there is {listed[0][1]}" if listed else "there is no image at all"
        key = str(sources.columns.file or sources.columns.id)
        hint = examples([bare(name) for _, name in listed], rows[key].tolist())
        zeros = hint.partition("; ")[2]
        raise AnnotationError(
            f"Expected the images of {sources.csv} under {sources.root}, but found none; "
            f"its first row is {example}, {first}{f'; {zeros}' if zeros else ''}"
        )
    line = f"images: {there.sum():,} of {len(there):,} rows have an image"
    note(Remark(line) if there.all() else f"{line}; the others are not there")
    return rows[there].reset_index(drop=True), files[there].reset_index(drop=True)
