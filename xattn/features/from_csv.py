"""Features from a table of the user's own: any column of a CSV, joined by image_id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations.layouts.rows import as_values
from xattn.annotations.matching import examples, match_ids
from xattn.annotations.numbers import says_nothing
from xattn.annotations.sheets import read_sheet
from xattn.errors import AnnotationError
from xattn.paths import as_path
from xattn.runs.record import file_sha256

KEY = "image_id"


@dataclass(frozen=True)
class MoreFeatures:
    """A table of features.

    Attributes:
        path: the file.
        table: indexed by image id (text); numbers as float64, all else as text or None.
        read: what was guessed, converted or left out on reading.
    """

    path: Path
    table: pd.DataFrame
    read: tuple[str, ...] = ()

    def columns(self, ids: list[str], taken: set[str]) -> dict[str, NDArray[Any]]:
        """Return the columns for images in this order, missing where the table lacks them.

        Args:
            ids: of the images.
            taken: names that the columns must not have.

        Raises:
            AnnotationError: a name is taken, or the table knows none of the images.
        """
        matched = match_ids(ids, list(self.table.index))
        if not matched.found:
            raise AnnotationError(
                f"Expected images of the run in column {KEY} of {self.path}, but got no id in "
                f"common: {examples(ids, list(self.table.index))}"
            )
        for name in self.table.columns:
            if name in taken:
                raise AnnotationError(
                    f"Expected another name for the column {name!r} of {self.path}: there is a "
                    "feature of that name"
                )
        rows = [-1 if place is None else place for place in matched.place]
        joined = self.table.reset_index(drop=True).reindex(rows)
        return {str(name): joined[name].to_numpy() for name in joined}

    def notes(self, ids: list[str]) -> list[str]:
        """Say what was done on reading, and how many images have a row.

        Args:
            ids: of the run's images.

        Returns:
            Notes, one line each.
        """
        matched = match_ids(ids, list(self.table.index))
        return [*self.read, matched.sentence("a row", self.path.name)]

    def to_dict(self) -> dict[str, str]:
        """Return the file's path and hash."""
        return {
            "path": str(self.path),
            "sha256": file_sha256(self.path),
        }


def read_more_features(path: str | Path) -> MoreFeatures:
    """Read a CSV with a column `image_id` and one column a feature.

    Columns of numbers and of true/false are numbers; all others are names. Cells that are empty or
    say `NA`, `unknown` and the like are unknown.

    Args:
        path: of the file.

    Returns:
        The table, and what was done on reading.

    Raises:
        AnnotationError: the file cannot be read, has no column image_id, no other column, or an
            image twice.
    """
    path = as_path(path, "a CSV of features")
    sheet = read_sheet(path, texts=[KEY])
    if KEY not in sheet.columns or len(sheet.columns) < 2:
        raise AnnotationError(
            f"Expected the column {KEY} and others in {path}, but got "
            f"{', '.join(sheet.columns) or 'an empty file'}"
        )
    cells = sheet.by_column
    ids = pd.Series(cells[KEY], dtype=object)
    twice = ids[ids.duplicated() & (ids != "")]
    if len(twice):
        raise AnnotationError(
            f"Expected each image once in {path}, but got {twice.iloc[0]!r} twice"
        )
    notes = list(sheet.notes)
    columns = {
        name: _plain(name, cells[name], notes.append) for name in sheet.columns if name != KEY
    }
    table = pd.DataFrame(columns, index=pd.Index(ids, name=KEY))
    return MoreFeatures(path, table[table.index != ""], tuple(notes))


def _plain(name: str, cells: list[str], note: Callable[[str], None]) -> NDArray[Any]:
    """Return float64 with NaN, or text with None."""
    given = pd.Series([None if says_nothing(c) else c for c in cells], dtype=object)
    words = given.dropna().str.lower()
    if len(words) and words.isin(["true", "false"]).all():
        return given.str.lower().map({"true": 1.0, "false": 0.0}).to_numpy(dtype=np.float64)
    values = as_values(given, note=lambda line: note(f"{name}: {line}"))
    if not any(isinstance(value, str) for value in values):
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    texts = [None if says_nothing(c, among_numbers=False) else c for c in cells]
    return np.array(texts, dtype=object)
