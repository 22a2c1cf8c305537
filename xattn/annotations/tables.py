"""CSV tables of image ids, as data sets come with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.annotations.matching import examples, match_ids
from xattn.annotations.numbers import says_nothing
from xattn.annotations.sheets import read_sheet
from xattn.errors import AnnotationError, Remark

ID_COLUMNS = ("image", "image_id", "image_name", "isic_id", "id")
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
        return self.rows.get(image_id, {}).get(column, "")

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
    """Read a CSV file with a column of image ids.

    Args:
        path: the file.
        ids: the images that are asked for; other rows are passed over.
        note: called with lines about how many images have a row, and what was left out.

    Raises:
        AnnotationError: the file is missing or no such table, or has none of the images.
    """
    path = Path(path)
    wanted = list(ids)
    sheet = read_sheet(path, texts=ID_COLUMNS)
    for line in sheet.notes:
        note(line)
    name = next((c for c in ID_COLUMNS if c in sheet.columns), None)
    if name is None:
        raise AnnotationError(
            f"Expected a column {' or '.join(ID_COLUMNS)} in {path}, "
            f"but got {', '.join(sheet.columns)[:80] or 'an empty file'}"
        )
    there = sheet.by_column[name]
    matched = match_ids(wanted, there)
    if not matched.found:
        raise AnnotationError(
            f"Expected rows of the images in {path}, but got none of them: "
            f"{examples(wanted, there)}"
        )
    keys = Counter(map(image_key, there))
    twice = sum(max(0, keys[image_key(one)] - 1) for one in wanted)
    if twice:
        note(f"{path.name}: {twice} rows of an image that had one already; the first is taken")
    note(Remark(matched.sentence("a row", path.name)))
    rows = {
        one: dict(zip(sheet.columns, map(_clean, sheet.rows[place]), strict=True))
        for one, place in zip(wanted, matched.place, strict=True)
        if place is not None
    }
    return Table(path, sheet.columns, rows)


def _clean(cell: str) -> str:
    return "" if says_nothing(cell) else cell
