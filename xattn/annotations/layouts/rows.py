"""From columns, as tables have them, to the images of an annotation file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations.layouts.registry import Draft, Note
from xattn.annotations.numbers import codes_for_unknown
from xattn.annotations.records import LESION, AnnotatedImage
from xattn.annotations.schema import Kind, Value
from xattn.errors import Remark


def draft(
    images: pd.DataFrame,
    values: pd.DataFrame,
    classes: Sequence[str],
    note: Note,
    *,
    nominal: Collection[str] = (),
) -> Draft:
    """Make a draft of columns, one row an image.

    Args:
        images: texts in the columns id, file, label and group; the last two may be missing.
        values: one column of texts a feature, of the same rows.
        classes: in the order wanted; only those that occur are declared.
        note: told how many images have no label, and of columns that cannot be features.
        nominal: features that are names even where they look like numbers.
    """
    unlabelled = int(images["label"].isna().sum())
    if unlabelled:
        note(f"labels: {unlabelled} of {len(images)} images have none")
    values = values.loc[:, values.notna().any()]
    if LESION in values.columns:
        note("lesion: a column of this name is left out; the word stands for the lesion's mask")
        values = values.drop(columns=LESION)
    names = [str(name) for name in values.columns]
    cells = [
        as_values(values[name], nominal=name in nominal, note=partial(_about, note, name))
        for name in names
    ]
    rows = zip(*cells, strict=True) if cells else ((),) * len(images)
    records = tuple(
        AnnotatedImage(
            id=i,
            file=Path(file),
            label=label,
            group=group,
            values={k: v for k, v in zip(names, row, strict=True) if v is not None},
        )
        for i, file, label, group, row in zip(
            images["id"], images["file"], *(_known(images[c]) for c in ("label", "group")), rows,
            strict=True,
        )
    )  # fmt: skip
    used = set(images["label"].dropna())
    kinds: dict[str, Kind] = dict.fromkeys(names, "metadata")
    return Draft(tuple(c for c in classes if c in used), kinds, records)


def as_values(
    cells: pd.Series, *, nominal: bool = False, note: Note | None = None
) -> list[Value | None]:
    """Return numbers if every cell is one, else texts; None where a cell is missing.

    >>> as_values(pd.Series(["55", None, "32.5"])), as_values(pd.Series(["55", "60+"]))
    ([55, None, 32.5], ['55', '60+'])

    Args:
        cells: texts. Those with a leading zero ("004") are names, not numbers.
        nominal: True for texts in any case.
        note: told of numbers that stand for "not known", such as -1 (see `codes_for_unknown`), and
            of the few cells for which a column of numbers is one of texts.
    """
    known = cells.dropna()
    if not nominal and not known.str.match(r"[-+]?0\d").any():
        numbers = pd.to_numeric(known, errors="coerce").to_numpy(dtype=np.float64)
        odd = known[~np.isfinite(numbers)]
        if 0 < 2 * len(odd) < len(known) and note is not None:
            note(
                f"is read as text, though most cells are numbers, for {len(odd):,} of "
                f"{len(known):,} are none, such as {odd.iloc[0]!r}"
            )
        if not len(odd):
            known, numbers = _without_codes(known, numbers, note)
            plain = [int(x) if x.is_integer() else x for x in numbers.tolist()]
            found = pd.Series(plain, index=known.index, dtype=object)
            return _known(found.reindex(cells.index))
    return _known(cells)


def _known(cells: pd.Series) -> list[Value | None]:
    """Return the cells, None where one is missing."""
    filled: list[Value | None] = cells.astype(object).where(cells.notna(), None).tolist()
    return filled


def _without_codes(
    cells: pd.Series, numbers: NDArray[np.float64], note: Note | None
) -> tuple[pd.Series, NDArray[np.float64]]:
    """Leave out the numbers that stand for "not known", and say so."""
    for code, reason in codes_for_unknown(numbers.tolist()):
        is_code = numbers == code
        cells, numbers = cells[~is_code], numbers[~is_code]
        if note is not None:
            note(f"{is_code.sum():,} cells of {code:g} are taken as not known: {reason}")
    return cells, numbers


def _about(note: Note, name: str, line: str) -> None:
    note(Remark(f"{name}: {line}"))
