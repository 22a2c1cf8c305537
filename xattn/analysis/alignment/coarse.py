"""Which maps are too coarse for what they are held against, in words."""

from __future__ import annotations

import pandas as pd

from xattn.analysis.alignment.mask_scores import CENTRE_PRIOR
from xattn.analysis.alignment.table import ALL_LABELS

_MOST_NAMED = 6


def coarse_notes(alignment: pd.DataFrame) -> list[str]:
    """Name the features for which the maps of each method are too coarse.

    Args:
        alignment: alignment.csv, may be empty.

    Returns:
        Notes, one line a method; methods of the same features share one.
    """
    if alignment.empty:
        return []
    rows = alignment[(alignment["label"] == ALL_LABELS) & (alignment["method"] != CENTRE_PRIOR)]
    methods: dict[str, list[str]] = {}
    for method, own in rows[rows["too_coarse"].astype(bool)].groupby("method", sort=False):
        least = own.sort_values("mask_cells", kind="stable")
        named = [
            f"{feature} ({cells:.2g})"
            for feature, cells in zip(least["feature"], least["mask_cells"], strict=True)
        ]
        more = f" and {len(named) - _MOST_NAMED} more" if named[_MOST_NAMED:] else ""
        methods.setdefault(", ".join(named[:_MOST_NAMED]) + more, []).append(str(method))
    return [
        f"Maps of {', '.join(names)} are too coarse for features that cover less than one cell in "
        f"the median: {features}; what they show there may be of what lies beside it"
        for features, names in methods.items()
    ]
