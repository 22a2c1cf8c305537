"""CSV tables of image ids, as data sets come with them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.errors import AnnotationError

ID_COLUMNS = ("image", "image_id", "image_name", "isic_id", "id")
MISSING = frozenset({"", "na", "nan", "none", "null", "unknown"})
"""Cells that say nothing, in lower case."""

_SUFFIX = "_downsampled"


@dataclass(frozen=True)
class Table:
    """A CSV file with one row an image.

    Attributes:
        path: the file.
        columns: names of the header.
        rows: image id -> column -> cell, stripped; "" where the file says nothing.
    """

    path: Path
    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]]

    def cell(self, image_id: str, column: str) -> str:
        """Return one cell, "" if there is none."""
        return self.rows.get(image_key(image_id), {}).get(column, "")

    def expect_columns(self, wanted: Sequence[str]) -> None:
        """Raise an AnnotationError if not one of these columns is there."""
        if not set(wanted) & set(self.columns):
            raise AnnotationError(
                f"Expected at least one of the columns {', '.join(wanted)} in {self.path}, "
                f"but got {', '.join(self.columns)}"
            )


def image_key(name: str) -> str:
    """Return the id that a file name or cell stands for.

    >>> image_key("ISIC_0000002_downsampled.png")
    'ISIC_0000002'
    """
    return name.strip().partition(".")[0].removesuffix(_SUFFIX)


def read_table(path: str | Path, ids: Iterable[str], note: Callable[[str], None]) -> Table:
    """Read a CSV file, separated by commas or semicolons, with a column of image ids.

    Args:
        path: the file.
        ids: the images that are asked for; other rows are passed over.
        note: called with a line about rows that were not used.

    Raises:
        AnnotationError: the file is missing or no such table, or has none of the images.
    """
    path = Path(path)
    wanted = {image_key(i) for i in ids}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=";" if header.count(";") else ",")
            columns = tuple(reader.fieldnames or ())
            name = next((c for c in ID_COLUMNS if c in columns), None)
            if name is None:
                raise AnnotationError(
                    f"Expected a column {' or '.join(ID_COLUMNS)} in {path}, "
                    f"but got {', '.join(columns)[:80] or 'an empty file'}"
                )
            rows: dict[str, dict[str, str]] = {}
            twice = 0
            for row in reader:
                key = image_key(row[name] or "")
                if key in wanted:
                    twice += key in rows
                    rows.setdefault(key, {c: _clean(row[c]) for c in columns})
    except OSError as err:
        raise AnnotationError(f"Expected a table in {path}, but got: {err.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as err:
        raise AnnotationError(f"Expected a table in {path}, but got: {err}") from None
    if not rows:
        example = min(wanted, default="an id")
        raise AnnotationError(
            f"Expected rows of the images, such as {example}, in {path}, but got none of them"
        )
    if twice:
        note(f"{path.name}: {twice} rows of an image that had one already; the first is taken")
    return Table(path, columns, rows)


def _clean(cell: str | None) -> str:
    text = (cell or "").strip()
    return "" if text.lower() in MISSING else text
