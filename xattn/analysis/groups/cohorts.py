"""Groups of patients to compare: sex, age band, site, skin tone band, any column of names.

Numbers are cut into bands that readers of the field know; the cuts are fixed, so that tables of
two data sets can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xattn.features.computed.collect import DETECTED
from xattn.features.detected import PRESENT
from xattn.features.feature_set import LESION, FeatureSet
from xattn.stats.columns import Column, as_column

AGE_BANDS = {"0-29": 30.0, "30-49": 50.0, "50-69": 70.0, "70+": np.inf}
"""Name of each band and the age (years) below which it ends."""

MOST_CATEGORIES = 20
"""A column of more names than this is an identifier or free text, not a group of patients."""


def cohorts(features: FeatureSet) -> list[Column]:
    """Return what can be compared of the features of a run, artifacts first.

    These are the artifacts (detected ones as yes/no); metadata and computed features that are
    names (at most 20) or yes/no, both of which must occur if it was computed; age in bands, called
    `age_band`; and the skin's ITA in bands, called `skin_tone_band`.

    Args:
        features: of the run.
    """
    found = []
    for name, kind in features.kinds.items():
        if name == LESION or kind not in ("artifact", "metadata", "computed"):
            continue
        column = as_column(features.table[name], name, kind)
        if kind == "artifact":
            found.append(detected(column) if name.endswith(DETECTED) else column)
        elif is_age(name) and not column.nominal:
            found.append(age_bands(column))
        elif name == "skin_tone" and not column.nominal:
            found.append(tone_bands(column))
        elif (column.nominal and len(column.categories or ()) <= MOST_CATEGORIES) or (
            column.aspect == "presence" and _occurs(column)
        ):
            found.append(column)
    return sorted(found, key=lambda column: column.kind != "artifact")


def _occurs(column: Column) -> bool:
    """Say whether a yes/no feature is known at all; a computed one, whether it is not constant."""
    fewest = 2 if column.kind == "computed" else 1
    return len(np.unique(column.values[column.known])) >= fewest


def detected(column: Column) -> Column:
    """Turn the scores of a detector into yes or no.

    Args:
        column: scores in [0, 1].

    Returns:
        1 where the score is at least `PRESENT`, else 0; unknown stays unknown.
    """
    present = np.where(column.known, column.values >= PRESENT, np.nan)
    return Column(column.feature, column.kind, "presence", present)


def is_age(name: str) -> bool:
    """Say whether a feature is an age by its name.

    >>> [is_age(n) for n in ("age", "age_approx", "Age at diagnosis", "stage", "agenesis")]
    [True, True, True, False, False]

    Args:
        name: of the feature.

    Returns:
        Whether it is one.
    """
    return name.lower().replace("_", " ").replace("-", " ").split(" ")[0] == "age"


def age_bands(column: Column) -> Column:
    """Cut ages in years into 0-29, 30-49, 50-69 and 70+; unknown stays unknown.

    Args:
        column: ages in years.

    Returns:
        A column of names.
    """
    band = np.searchsorted(list(AGE_BANDS.values()), column.values, side="right")
    return _banded(column, np.minimum(band, len(AGE_BANDS) - 1), tuple(AGE_BANDS))


def tone_bands(column: Column) -> Column:
    """Cut angles (degrees, ITA) into the bands of `xattn.features.computed.skin_tone`.

    Args:
        column: individual typology angles, in degrees.

    Returns:
        A column of names.
    """
    from xattn.features.computed.skin_tone import TONES, tone_band

    names = tone_band(column.values)
    return _banded(column, _place(names, TONES), TONES)


def _place(names: NDArray[np.object_], order: Sequence[str]) -> NDArray[np.intp]:
    return np.array([order.index(n) if n is not None else 0 for n in names], dtype=np.intp)


def _banded(column: Column, band: NDArray[np.intp], names: tuple[str, ...]) -> Column:
    values = np.where(column.known, band, np.nan)
    return Column(f"{column.feature}_band", column.kind, "value", values, names)
