"""Parquet tables as texts, as tables of text are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xattn.addresses.mirror import MIRROR
from xattn.errors import XattnError, one_line

_MARK = b"PAR1"


def is_parquet(path: str | Path) -> bool:
    """Say whether a file begins as a Parquet table does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False  # whoever reads it says why


def read_parquet(
    path: str | Path, error: type[XattnError], header: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the cells of each row as texts, "" for none.

    Args:
        path: the file.
        error: the class to raise.
        header: read the names alone.

    Raises:
        XattnError: of that class; the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if header:
            return list(pq.read_schema(path).names), []
        MIRROR.fetch(path)  # pyarrow opens files by itself
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as err:
        raise error(f"Expected a Parquet table at {path}, but got: {one_line(err)}") from None
    columns = [[_text(cell) for cell in column.to_pylist()] for column in table.columns]
    return list(table.column_names), [list(row) for row in zip(*columns, strict=True)]


def _text(cell: Any) -> str:
    if cell is None or cell != cell or isinstance(cell, bytes | dict | list):
        return ""
    return str(cell).strip()
