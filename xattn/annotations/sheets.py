"""Tables of text as programs and spreadsheets write them, whatever separates and encodes them."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from xattn.annotations.numbers import plain_numbers
from xattn.annotations.parquet import is_parquet, read_parquet
from xattn.documents import decode_text
from xattn.errors import AnnotationError, ImageError, Remark, XattnError, one_line
from xattn.images.containers import content_bytes, read_content, split_member

_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 50
"""Records by which the delimiter is told."""
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or an archive; export it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; export it as CSV",
}
_GZIP = b"\x1f\x8b"
_INDEX_NAME = re.compile(r"|Unnamed: \d+")
_LONGEST_CELL = 2**24


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        path: the file.
        columns: names, stripped, each once.
        rows: cells, stripped, of as many columns; blank and doubled lines are not among them.
        notes: what was done beyond reading: encodings guessed, lines and columns left out, numbers
            with a comma.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def by_column(self) -> dict[str, list[str]]:
        """The cells of each column."""
        return {name: [row[i] for row in self.rows] for i, name in enumerate(self.columns)}


def read_first_record(path: str | Path) -> tuple[str, list[str]]:
    """Return the first line of a table, and the cells in it.

    Raises:
        AnnotationError: the file is not there or no text.
    """
    if is_parquet(path):
        header, _ = read_parquet(path, AnnotationError, header=True)
        return ",".join(header), header
    text, _ = _text(Path(path), AnnotationError, 2**16)
    text = _without_hint(text)
    delimiter = _delimiter(text)
    try:
        record = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error:
        record = text.partition("\n")[0].split(delimiter)
    return text.partition("\n")[0].strip(), [cell.strip() for cell in record]


def read_sheet(
    path: str | Path,
    names: Sequence[str] | None = None,
    error: type[XattnError] = AnnotationError,
    texts: Sequence[str] = (),
    doubled: bool = False,
) -> Sheet:
    """Read a whole table, of text or of Parquet.

    Cells may be separated by commas, semicolons, tabs or bars, in UTF-8, UTF-16 or a code page of
    Windows, with line ends of any system, and with line ends inside quotes. Numbers with a decimal
    comma or with separators of thousands become plain ones, with a note.

    Args:
        path: the file.
        names: of the columns, of a table without a header.
        error: the class to raise.
        texts: columns whose cells are no numbers, such as ids.
        doubled: keep lines that are there already, for a reader that refuses them.

    Raises:
        XattnError: of that class; the file is missing, no text, or its lines are no table.
    """
    path = Path(path)
    if is_parquet(path):
        header, cells = read_parquet(path, error)
        rows = [tuple(row) for row in cells]
        return _sheet(path, header, rows, ",", texts, [], doubled)
    text, encoding = _text(path, error)
    notes = []
    if encoding in ("cp1252", "latin-1"):
        notes.append(f"{path.name}: is no UTF-8 and is read as {encoding}")
    text = _without_hint(text)
    delimiter = _delimiter(text)
    records = _records(text, delimiter, path, error)
    header = list(names) if names is not None else records.pop(0)[1] if records else []
    rows = _even(records, len(header), delimiter, path, error)
    return _sheet(path, header, rows, delimiter, texts, notes, doubled)


def _sheet(
    path: Path,
    header: Sequence[str],
    rows: list[tuple[str, ...]],
    delimiter: str,
    texts: Sequence[str],
    notes: list[str],
    doubled: bool,
) -> Sheet:
    """Make a table of cells: names distinct, doubled lines left out, numbers plain."""
    columns, rows = _named(header, rows, path, notes)
    seen = dict.fromkeys(rows)
    if len(seen) < len(rows) and not doubled:
        n = len(rows) - len(seen)
        notes.append(Remark(f"{path.name}: {n:,} lines that are there already are passed over"))
    rows = rows if doubled else list(seen)
    cells = [[row[i] for row in rows] for i in range(len(columns))]
    for i, name in enumerate(columns):
        if name not in texts:
            cells[i], note = plain_numbers(cells[i], delimiter)
            if note:
                notes.append(Remark(f"{path.name}, {name}: {note}"))
    plain = tuple(zip(*cells, strict=True)) if rows else ()
    return Sheet(path, tuple(columns), plain, tuple(notes))


def _text(path: Path, error: type[XattnError], limit: int = -1) -> tuple[str, str]:
    try:
        with _opened(path) as file:
            data = file.read(limit)
        if data.startswith(_GZIP):
            with _opened(path) as file:
                data = gzip.GzipFile(fileobj=file).read(limit)
        for start, what in _NO_TEXT.items():
            if data.startswith(start):
                raise error(f"Expected a CSV file at {path}, but got {what}")
        if limit > 0 and len(data) == limit:
            data = data[: data.rfind(b"\n") + 1 or limit]
            data = data[: len(data) // 4 * 4] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data
        text, encoding = decode_text(data, guess=True)
    except (OSError, EOFError, zlib.error, UnicodeError) as err:
        raise error(f"Expected a CSV file at {path}, but got: {one_line(err)}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _opened(path: Path) -> BinaryIO:
    """Open a file, or a member of an archive."""
    if split_member(path) is None:
        return path.open("rb")
    try:
        return io.BytesIO(content_bytes(read_content(path)))
    except ImageError as err:
        raise FileNotFoundError(str(err)) from None


def _without_hint(text: str) -> str:
    """Drop the first line by which Excel is told the delimiter: `sep=;`."""
    first, _, rest = text.partition("\n")
    return rest if re.fullmatch(r"\"?sep=.\"?", first.strip(), re.IGNORECASE) else text


def _delimiter(text: str) -> str:
    """Return what separates cells: what gives the most lines as many cells as the header has."""
    best, most = ",", (0, 0)
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        widths: list[int] = []
        try:
            for record in reader:
                if any(cell.strip() for cell in record):
                    widths.append(len(record))
                if len(widths) > _LOOKED_AT:
                    break
        except csv.Error:
            pass  # of this delimiter; what was read up to there counts
        if not widths or widths[0] < 2:
            continue
        alike = sum(width == widths[0] for width in widths)
        if (alike, widths[0]) > most:
            best, most = delimiter, (alike, widths[0])
    return best


def _records(
    text: str, delimiter: str, path: Path, error: type[XattnError]
) -> list[tuple[int, list[str]]]:
    """Return (line, stripped cells) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    csv.field_size_limit(_LONGEST_CELL)
    records = []
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if any(cells):
                records.append((reader.line_num, cells))
    except csv.Error as err:
        raise error(
            f"Expected a table in {path}, but line {reader.line_num} is none: {one_line(err)}; is "
            "a quote not closed?"
        ) from None
    return records


def _even(
    records: Sequence[tuple[int, list[str]]],
    width: int,
    delimiter: str,
    path: Path,
    error: type[XattnError],
) -> list[tuple[str, ...]]:
    rows = []
    for line, cells in records:
        if any(cells[width:]):
            raise error(
                f"Expected {width} cells in line {line} of {path}, but got {len(cells)}; a cell "
                f"that holds a {'comma' if delimiter == ',' else repr(delimiter)} must stand in "
                "quotes"
            )
        rows.append(tuple(cells[:width] + [""] * (width - len(cells))))
    return rows


def _named(
    header: Sequence[str], rows: list[tuple[str, ...]], path: Path, notes: list[str]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Leave out columns that only number the lines or have no name; make names distinct."""
    dropped = []
    for i, name in enumerate(header):
        if _INDEX_NAME.fullmatch(name):
            cells = [row[i] for row in rows]
            counts = [
                [str(start + k) for k in range(len(cells))] == cells and len(header) > 1
                for start in (0, 1)
            ]
            if any(counts) or not name:
                dropped.append(i)
                if any(cells):
                    shown = repr(name) if name else "without a name"
                    what = "only numbers the lines" if any(counts) else "has no name"
                    notes.append(
                        Remark(f"{path.name}: column {i + 1} ({shown}) {what} and is left out")
                    )
    kept = [i for i in range(len(header)) if i not in dropped]
    count: Counter[str] = Counter()
    columns = []
    for i in kept:
        name = header[i]
        columns.append(f"{name}.{count[name]}" if count[name] else name)
        count[name] += 1
    for name, n in count.items():
        if n > 1:
            notes.append(
                f"{path.name}: {n} columns are called {name!r}; the later are {name}.1 ..."
            )
    return columns, [tuple(row[i] for i in kept) for row in rows]
