"""Whether a value is known, as a feature of its own: once for all that are missing together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xattn.stats.columns import Column

ASPECT = "missing"
_MOST_NAMED = 3


def missingness(columns: Sequence[Column]) -> tuple[list[Column], dict[int, tuple[str, ...]]]:
    """Return yes/no columns of where values are missing, one for each pattern that occurs.

    Features that are missing in the same images have one test together, called after all of
    them. A pattern that a yes/no feature has itself, such as `lesion_cut` of the computed features
    that a cut lesion has not, is that feature's: it gets no column.

    Args:
        columns: the features.

    Returns:
        The new columns, and by place among `columns` followed by those, the features whose
        missingness it stands for.
    """
    patterns: dict[bytes, list[Column]] = {}
    for column in columns:
        # A mask that is only given where the feature is says no more than its presence.
        measured = column.aspect in ("presence", "value")
        if measured and 0 < column.known.sum() < len(column.known):
            patterns.setdefault((~column.known).tobytes(), []).append(column)
    stands_for: dict[int, tuple[str, ...]] = {}
    for place, column in enumerate(columns):
        if column.aspect != "presence" or not column.known.all():
            continue
        shown = column.values.astype(bool)
        for same in (shown, ~shown):
            if alike := patterns.pop(same.tobytes(), None):
                stands_for[place] = _names(alike)
    found: list[Column] = []
    for alike in patterns.values():
        names = _names(alike)
        stands_for[len(columns) + len(found)] = names
        missing = (~alike[0].known).astype(np.float64)
        found.append(Column(together(names), alike[0].kind, ASPECT, missing))
    return found, stands_for


def together(names: Sequence[str]) -> str:
    """Name several features in a cell.

    >>> together(["age"]), together(["age", "sex", "site", "dataset"])
    ('age', 'age, sex and 2 more')

    Args:
        names: of the features.

    Returns:
        One text.
    """
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _MOST_NAMED - 1])} and {len(names) - _MOST_NAMED + 1} more"


def _names(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.feature for column in columns))
