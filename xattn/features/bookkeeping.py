"""Columns that keep the books of a data set and are no features of what an image shows.

Ids, splits, file names, dates, how a diagnosis was made, the label in other words: a model may well
go with such a column within a label, and it would mean nothing. Only metadata is looked at; what
was declared a structure or an artifact, computed or detected is meant as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

KEEP_ALL = "none"
"""Excluded by this name: nothing, not even what is recognised here."""

_SPLITS = frozenset({"split", "splits", "fold", "folds", "partition", "subset"})
_FILES = frozenset({"file", "filename", "filepath", "path", "url", "uri", "link", "href"})
_DATES = frozenset(
    {"date", "datetime", "timestamp", "created", "modified", "exported", "uploaded", "downloaded"}
)
_RIGHTS = frozenset({"license", "licence", "copyright", "attribution", "credit"})
_IDS = frozenset({"id", "ids", "uid", "uuid", "guid", "identifier", "hash", "md5", "sha256"})
_CASES = frozenset({"patient", "subject", "case", "slide", "study", "accession", "mrn", "lesion"})
_DIAGNOSES = frozenset({"dx", "diagnosis", "diagnostic"})
_HOW = frozenset({"type", "method", "confirm", "confirmed", "confirmation", "how", "basis"})
_LABELS = frozenset({"label", "labels", "class", "target", "diagnosis", "dx", "y", "outcome"})
_FEWEST = 10  # images, below which the content of a column says nothing
_FEW = 50  # categories, above which names that half of the images have alone are free text


def bookkeeping(table: pd.DataFrame, kinds: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that are no features -> what they are, in a few words.

    Args:
        table: a column a feature, and `label`.
        kinds: of the features; those that are no metadata are passed over.
    """
    found = {}
    for name, kind in kinds.items():
        if kind == "metadata" and name in table:
            why = _by_name(name) or _by_content(table[name], table["label"], name)
            if why:
                found[name] = why
    return found


def _by_name(name: str) -> str:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    if not words or re.fullmatch(
        r"unnamed: ?\d+|index|level_\d+|row(_?(id|number))?", name.lower()
    ):
        return "numbers of rows"
    said = set(words)
    if said & _DIAGNOSES and said & _HOW:
        return "how the diagnosis was made"
    for known, what in (
        (_SPLITS, "the split"),
        (_FILES, "files"),
        (_DATES, "dates"),
        (_RIGHTS, "rights"),
    ):
        if said & known:
            return what
    if words[-1] in _IDS or (len(words) == 1 and words[0] in _CASES):
        return "ids"
    return ""


def _by_content(values: pd.Series, label: pd.Series, name: str) -> str:
    known = values.dropna()
    if len(known) < _FEWEST:
        return ""
    different = known.nunique()
    if different == 1:
        return "the same in every image" if len(known) == len(values) else ""
    text = not pd.api.types.is_numeric_dtype(known)
    if text and different == len(known):
        return "one value an image"
    if text and different > max(_FEW, len(known) / 2):
        return "free text, nearly one value an image"
    if not text and len(known) == len(values) and (np.diff(known.to_numpy()) == 1).all():
        return "numbers of rows"
    return _as_label(known, label, name)


def _as_label(known: pd.Series, label: pd.Series, name: str) -> str:
    """Say whether a column is the label in other words, or, by its name too, in finer ones."""
    both = pd.DataFrame({"value": known, "label": label}).dropna()
    if both["label"].nunique() < 2 or len(both) < _FEWEST:
        return ""
    pairs = both.drop_duplicates()
    if pairs["value"].duplicated().any():
        return ""
    if not pairs["label"].duplicated().any():
        return "the label in other words"
    named = _LABELS & set(re.split(r"[\W\d_]+", name.lower()))
    few = len(pairs) <= min(_FEW, len(both) / 2)
    return "the label in finer words" if named and few else ""


def describe(left_out: Mapping[str, str]) -> str:
    """Say in one line which columns were left out, and why.

    Args:
        left_out: column -> why.

    Returns:
        One line.
    """
    by_reason: dict[str, list[str]] = {}
    for name, why in left_out.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())
