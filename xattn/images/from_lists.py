"""Images that a list names: a path a line, or a column of a CSV or Parquet table."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path

from xattn.addresses.mirror import MIRROR
from xattn.documents import decode_text
from xattn.errors import UsageError, one_line
from xattn.images.containers import has_file

LISTS = frozenset({".txt", ".csv", ".tsv", ".parquet"})
"""Endings of files that list images and are none."""
COLUMNS = (
    "file", "path", "file_path", "filepath", "image_path", "img_path", "file_name", "filename",
    "image", "image_file", "image_name", "img", "img_id", "id",
)  # fmt: skip
"""Names that a column of files may have, in lower case, the likeliest first."""
_LOOKED_AT = 100


def listed_paths(path: Path) -> list[Path]:
    """Return the files that a list names, relative to itself.

    Of a table it is the column of a likely name whose cells are files that are there, else any
    other such column.

    Raises:
        UsageError: it cannot be read, or no column names files.
    """
    if path.suffix.lower() == ".txt":
        lines = (line.strip().strip("\"'") for line in _text(path).splitlines())
        return [path.parent / line for line in lines if line and not line.startswith("#")]
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    likely = [name for known in COLUMNS for name in columns if name.lower() == known]
    for name in dict.fromkeys([*likely, *columns]):
        cells = [path.parent / cell.replace("\\", "/") for cell in columns[name] if cell]
        if any(map(has_file, cells[:_LOOKED_AT])):
            return cells
    shown = ", ".join(" ".join(name.split()) for name in columns)
    raise UsageError(
        f"Expected a column of image files in {path}, relative to its folder, but got none among "
        f"{shown or 'no columns'}; a table of ids becomes an annotation file by "
        f"`xattn annotations build --csv {shlex.quote(str(path))} --root IMAGES`"
    )


def _text(path: Path) -> str:
    try:
        return decode_text(path.read_bytes(), guess=True)[0]
    except (OSError, UnicodeError) as err:
        raise UsageError(f"Expected a list of images in {path}, but got: {one_line(err)}") from None


def _csv(path: Path) -> dict[str, list[str]]:
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as err:
        raise UsageError(f"Expected a list of images in {path}, but got: {one_line(err)}") from None
    return _by_column(rows[0], rows[1:]) if rows else {}


def _by_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    return {
        name.strip(): [row[i].strip() if i < len(row) else "" for row in rows]
        for i, name in enumerate(header)
    }


def _parquet(path: Path) -> dict[str, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        MIRROR.fetch(path)  # pyarrow opens files by itself
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as err:
        raise UsageError(f"Expected a list of images in {path}, but got: {one_line(err)}") from None
    is_text = (pa.types.is_string, pa.types.is_large_string)
    texts = [i for i, kind in enumerate(table.schema.types) if any(is_(kind) for is_ in is_text)]
    return {
        table.column_names[i]: [cell or "" for cell in table.column(i).to_pylist()] for i in texts
    }
