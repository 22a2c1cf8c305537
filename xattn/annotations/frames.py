"""Tables of a data set, known by their headers, and what their columns mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from xattn.annotations.numbers import says_nothing
from xattn.annotations.sheets import read_first_record, read_sheet
from xattn.errors import AnnotationError, near
from xattn.images.containers import members_below

_DEEPEST = 2
"""Folders below the root in which tables are looked for."""


@dataclass(frozen=True)
class TableSpec:
    """What the columns of one kind of table mean. Those that are named in no role are not read.

    Attributes:
        id: column of the image's id.
        known_by: further columns that a table of this kind has.
        first_line: pattern of the first line of a kind that has no header; the columns are then
            `id` and `label`.
        label: column of class names.
        label_or: columns that are the label where that one is not there, the first of them.
        classes: cell -> class, in the order of the classes; {} takes the cells as they are.
        one_hot: column of 0 and 1 -> class, in the order of the classes.
        rest: class of the rows in which no column of `one_hot` is 1; None for no class.
        groups: columns whose shared values hold images together.
        group_in_id: pattern of ids; what its brackets hold is shared by the images of one group.
        value_in_id: a feature, and a pattern of ids in whose brackets its value stands.
        pair: a second column of ids: each row ties two images together.
        values: column -> feature.
        source: a column, and beginning of its cells -> name of the source: the feature `dataset`.
        nominal: features that are names even where they look like numbers.
    """

    id: str
    known_by: tuple[str, ...] = ()
    first_line: str | None = None
    label: str | None = None
    label_or: tuple[str, ...] = ()
    classes: Mapping[str, str] = field(default_factory=dict)
    one_hot: Mapping[str, str] = field(default_factory=dict)
    rest: str | None = None
    groups: tuple[str, ...] = ()
    group_in_id: str | None = None
    value_in_id: tuple[str, str] | None = None
    pair: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    source: tuple[str, Mapping[str, str]] | None = None
    nominal: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns by which a table of this kind is known."""
        label = () if self.label is None or self.label_or else (self.label,)
        pair = () if self.pair is None else (self.pair,)
        return tuple(dict.fromkeys((self.id, *self.known_by, *label, *self.one_hot, *pair)))

    def is_kind_of(self, table: TableFile) -> bool:
        """Say whether a table is of this kind."""
        if self.first_line is not None:
            return re.fullmatch(self.first_line, table.first_line) is not None
        there = set(table.columns)
        labelled = not self.label_or or bool({self.label, *self.label_or} & there)
        return labelled and set(self.needed) <= there

    def with_label(self, columns: Collection[str], wanted: str | None) -> TableSpec:
        """Return the same with the column of classes that is meant.

        Args:
            columns: of the tables.
            wanted: the column that the user named; its cells are the classes.

        Raises:
            AnnotationError: that column is not there.
        """
        if wanted is not None:
            if wanted not in columns:
                raise AnnotationError(
                    f"Expected a column of the table as the label, but got {wanted!r}"
                    f"{near(wanted, columns)}"
                )
            if wanted != self.label:
                return replace(self, label=wanted, label_or=(), classes={}, one_hot={}, rest=None)
        found = next((one for one in (self.label, *self.label_or) if one in columns), self.label)
        return replace(self, label=found, label_or=())


@dataclass(frozen=True)
class TableFile:
    """A table on disk of which the first line was read.

    Attributes:
        path: the file.
        first_line: stripped.
        columns: the cells of the first line.
    """

    path: Path
    first_line: str
    columns: tuple[str, ...]


def find_tables(root: str | Path, names: Iterable[str] = ("*.csv", "*.tab")) -> list[TableFile]:
    """Return the tables below a folder, up to two folders deep, sorted; only headers are read.

    Those of an archive are read in it.
    """
    root = Path(root)
    inside = members_below(root)
    if inside is not None:
        return _tables_inside(inside, len(str(root)) + 1, list(names))
    depths = ["*/" * depth for depth in range(_DEEPEST + 1)]
    paths = {p for name in names for depth in depths for p in root.glob(depth + name)}
    tables = (open_table(path) for path in sorted(paths) if path.is_file())
    return [table for table in tables if table.first_line]


def _tables_inside(paths: Sequence[str], start: int, patterns: Sequence[str]) -> list[TableFile]:
    near_top = [path for path in paths if path.count("/", start) <= _DEEPEST]
    chosen = [p for p in near_top if any(fnmatch(p.rpartition("/")[2], one) for one in patterns)]
    tables = (open_table(path) for path in chosen)
    return [table for table in tables if table.first_line]


def open_table(path: str | Path) -> TableFile:
    """Read the first line of a table.

    Raises:
        AnnotationError: the file is not there or no text.
    """
    path = Path(path)
    line, columns = read_first_record(path)
    return TableFile(path, line, tuple(columns))


def read_frame(
    table: TableFile,
    names: Sequence[str] | None = None,
    note: Callable[[str], None] | None = None,
    texts: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a whole table as stripped texts, missing where a cell says nothing.

    Args:
        table: as it was found.
        names: of the columns, of a table without a header.
        note: told what was left out, guessed or converted.
        texts: columns whose cells are no numbers.

    Raises:
        AnnotationError: it cannot be read.
    """
    sheet = read_sheet(table.path, names, texts=texts)
    if note is not None:
        for line in sheet.notes:
            note(line)
    frame = pd.DataFrame(sheet.by_column, dtype=object, columns=list(sheet.columns))
    known: pd.DataFrame = frame.apply(_without_unknown).astype(object)
    return known


def _without_unknown(cells: pd.Series) -> pd.Series:
    """Leave out cells that say nothing; those that may be a value do so among numbers alone."""
    surely = cells.map(lambda cell: says_nothing(cell, among_numbers=False))
    maybe = ~surely & cells.map(says_nothing)
    others = cells[~surely & ~maybe]
    numbers = pd.to_numeric(others, errors="coerce").notna()
    return cells.mask(surely | (maybe & bool(numbers.all())))


def read_kind(
    spec: TableSpec, tables: Sequence[TableFile], note: Callable[[str], None]
) -> pd.DataFrame:
    """Read all tables of one kind into one, indexed by the image's key.

    Of several rows of an image the first is taken, with a note. If the tables are called after
    the parts of a split (train, validation, test), the column `official_split` says which.
    """
    names = None if spec.first_line is None else [spec.id, str(spec.label)]
    frames = []
    for table in tables:
        frame = read_frame(table, names, note, [spec.id, *([spec.pair] if spec.pair else [])])
        frames.append(frame.assign(official_split=_part(table.path.stem)))
    whole = pd.concat(frames, ignore_index=True)
    if whole["official_split"].nunique() < 2:
        whole = whole.drop(columns="official_split")
    whole = whole[whole[spec.id].notna()]
    whole.index = pd.Index(image_keys(whole[spec.id]), name="key")
    if spec.pair is not None:
        return whole
    twice = whole.index.duplicated()
    if twice.any():  # not the same line again, which is told elsewhere
        shown = ", ".join(table.path.name for table in tables)
        note(f"{shown}: {twice.sum()} rows of an image that had one already; the first is taken")
    return whole[~twice]


def image_keys(cells: pd.Series) -> pd.Series:
    """Return the keys that cells or file names stand for, as `image_key` does one by one."""
    stems = cells.str.strip().str.partition(".")[0]
    return stems.str.removesuffix("_downsampled")


def labels_of(spec: TableSpec, frame: pd.DataFrame, where: str) -> tuple[list[str], pd.Series]:
    """Return the classes in their order, and each row's class, missing where it has none.

    Raises:
        AnnotationError: a cell is not what the kind of table has there.
    """
    if spec.one_hot:
        return _one_hot(spec, frame, where)
    cells = frame[str(spec.label)]
    if not spec.classes:
        return sorted(set(cells.dropna())), cells
    odd = cells[cells.notna() & ~cells.isin(list(spec.classes))]
    if len(odd):
        raise AnnotationError(
            f"Expected {' or '.join(spec.classes)} in the column {spec.label} of {where}, "
            f"but got {odd.iloc[0]!r}"
        )
    return list(dict.fromkeys(spec.classes.values())), cells.map(dict(spec.classes))


def _one_hot(spec: TableSpec, frame: pd.DataFrame, where: str) -> tuple[list[str], pd.Series]:
    cells = frame[list(spec.one_hot)]
    numbers = cells.apply(pd.to_numeric, errors="coerce")
    if (numbers.isna() & cells.notna()).any(axis=None):
        raise AnnotationError(
            f"Expected 0 and 1 in the columns {', '.join(spec.one_hot)} of {where}, "
            "but got other cells"
        )
    chosen = numbers.eq(1)
    count = chosen.sum(axis=1)
    labels = chosen.idxmax(axis=1).map(dict(spec.one_hot)).where(count == 1)
    classes = list(spec.one_hot.values())
    if spec.rest is not None:
        labels = labels.mask((count == 0) & numbers.notna().all(axis=1), spec.rest)
        classes.append(spec.rest)
    return classes, labels


def _part(stem: str) -> str | None:
    words = {"train": "train", "valid": "val", "test": "test"}
    return next((part for word, part in words.items() if word in stem.lower()), None)
