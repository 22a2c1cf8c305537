"""Features from a table of the user's own: any column of a CSV, joined by image_id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.errors import AnnotationError

KEY = "image_id"


@dataclass(frozen=True)
class MoreFeatures:
    """A table of features.

    Attributes:
        path: the file.
        table: indexed by image id (text); numbers as float64, all else as text or None.
    """

    path: Path
    table: pd.DataFrame

    def columns(self, ids: list[str], taken: set[str]) -> dict[str, NDArray[Any]]:
        """Return the columns for images in this order, missing where the table lacks them.

        Args:
            ids: of the images.
            taken: names that the columns must not have.

        Raises:
            AnnotationError: a name is taken, or the table knows none of the images.
        """
        if not self.table.index.isin(ids).any():
            raise AnnotationError(
                f"Expected images of the run in column {KEY} of {self.path}, but got no id in "
                f"common: the run has {ids[0]!r}, the table {next(iter(self.table.index), None)!r}"
            )
        for name in self.table.columns:
            if name in taken:
                raise AnnotationError(
                    f"Expected another name for the column {name!r} of {self.path}: there is a "
                    "feature of that name"
                )
        joined = self.table.reindex(ids)
        return {str(name): _plain(joined[name]) for name in joined}

    def to_dict(self) -> dict[str, str]:
        """Return the file's path and hash."""
        return {
            "path": str(self.path),
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
        }


def read_more_features(path: str | Path) -> MoreFeatures:
    """Read a CSV with a column `image_id` and one column a feature.

    Columns of numbers and of true/false are numbers; all others are names. Empty cells are
    unknown.

    Raises:
        AnnotationError: the file cannot be read, has no column image_id, no other column, or an
            image twice.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype={KEY: str}, encoding="utf-8-sig")
    except (OSError, ValueError) as err:  # pandas' parser errors are ValueErrors
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise AnnotationError(f"Expected a CSV file at {path}, but got: {reason}") from None
    if KEY not in table or len(table.columns) < 2:
        raise AnnotationError(
            f"Expected the column {KEY} and others in {path}, but got {', '.join(table.columns)}"
        )
    twice = table[KEY][table[KEY].duplicated()]
    if len(twice):
        raise AnnotationError(
            f"Expected each image once in {path}, but got {twice.iloc[0]!r} twice"
        )
    return MoreFeatures(path, table.set_index(KEY))


def _plain(column: pd.Series[Any]) -> NDArray[Any]:
    """Return float64 with NaN, or text with None."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = column.astype(object)
    given = values.dropna()
    if given.map(lambda v: isinstance(v, bool)).all():
        return values.astype(float).to_numpy()
    return np.array([None if pd.isna(v) else str(v) for v in values], dtype=object)
