"""Parquet tables of a folder: a bit that changed is refused by name, wherever in the file it is.

Pages have checksums (CRC32), which pyarrow can write and compare. The end of the file, with the
names and types of the columns, has none: their hash stands beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.addresses.mirror import MIRROR
from xattn.disk import replacing
from xattn.errors import RunError, one_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_KEY = b"xattn_sha256"


def write_parquet(table: pd.DataFrame, path: Path, *, shared: bool = False) -> None:
    """Write a table without its index, whole or not at all, with checksums.

    `shared` as in `replacing`: several processes may write it at the same time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.Table.from_pandas(table, preserve_index=False)
    known = {**(made.schema.metadata or {}), _KEY: _digest(made.schema, made.num_rows)}
    with replacing(path, shared=shared) as scratch:
        pq.write_table(made.replace_schema_metadata(known), scratch, write_page_checksum=True)


def write_in_parts(parts: Iterable[pd.DataFrame], rows: int, path: Path) -> None:
    """Write a table that is never in memory as a whole, in the way of `write_parquet`.

    Args:
        parts: some rows each, with the same columns of the same types; at least one.
        rows: of all parts together.
        path: the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as scratch, ExitStack() as stack:
        writer = schema = None
        for part in parts:
            made = pa.Table.from_pandas(part, schema=schema, preserve_index=False)
            if writer is None or schema is None:
                # Texts that are all missing in this part need not be so in the next.
                fields = [
                    field.with_type(pa.string()) if pa.types.is_null(field.type) else field
                    for field in made.schema
                ]
                schema = pa.schema(fields, made.schema.metadata)
                known = {**(schema.metadata or {}), _KEY: _digest(schema, rows)}
                writer = pq.ParquetWriter(
                    scratch, schema.with_metadata(known), write_page_checksum=True
                )
                stack.enter_context(writer)
                made = made.cast(schema)
            writer.write_table(made.replace_schema_metadata(known))


def read_parquet(path: Path, way_out: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table; one of an earlier version, without checksums, as it is.

    Args:
        path: the file.
        way_out: for the message if it is damaged.
        columns: to read; all by default.

    Raises:
        RunError: it is missing, damaged, or no table.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    MIRROR.fetch(path)  # pyarrow opens files by itself
    try:
        schema, rows = pq.read_schema(path), pq.read_metadata(path).num_rows
        known = (schema.metadata or {}).get(_KEY)
        if known is not None and known != _digest(schema, rows):
            raise ValueError("names or types of columns that are not those that were written")
        return pd.read_parquet(
            path,
            columns=None if columns is None else list(columns),
            page_checksum_verification=True,
        )
    except Exception as err:  # pyarrow raises many things on bytes that are none of its own
        raise RunError(f"Expected a table in {path}, but got: {one_line(err)}; {way_out}") from err


def _digest(schema: pa.Schema, rows: int) -> bytes:
    """Hash the names and types of columns, what pandas notes of them, and the number of rows."""
    notes = (schema.metadata or {}).get(b"pandas")
    # Categories are read with other widths of codes and texts than they were written with.
    types = [str(getattr(field.type, "value_type", field.type)) for field in schema]
    columns = [(name, t.replace("large_", "")) for name, t in zip(schema.names, types, strict=True)]
    return hashlib.sha256(repr((columns, notes, rows)).encode()).hexdigest().encode()
