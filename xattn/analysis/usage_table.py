"""The usage test over all features, with negative controls and adjusted p-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from xattn.analysis.adjust import enough_permutations, holm
from xattn.analysis.codes import codes
from xattn.analysis.columns import Column, as_column
from xattn.analysis.features import LESION, FeatureSet
from xattn.analysis.usage import usage_tests

AREA = ".area"


def usage_table(
    features: pd.DataFrame | Sequence[Column],
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    tests: Sequence[str] = ("rank",),
    permutations: int = 999,
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return feature_usage.csv: one row per feature and aspect, the two controls last.

    `test` is statistic(aspect), the aspect being presence (yes/no), area (share of the pixels) or
    value. p-values are adjusted by Holm's method over all rows; `used` says p_adjusted < alpha.
    Two features that no classifier can know are always tested with the others and should come out
    unused: `control-noise` (normal), and `control-label-noise` (yes/no, whose frequency depends on
    the label: a test that forgets the condition finds it).

    Args:
        features: a table with one column a feature (`<name>.area` is an area of `<name>`), or
            columns.
        prediction: (n,) or (n, classes), see `usage_test`.
        label, groups: (n,).
        kinds: kind of each feature of a table; default metadata.
        tests: statistics, combined by their minimum p if several.
        permutations: more are drawn if the number of rows asks for it.
        bootstrap: replicates for intervals.
        alpha: level of `used`.
        seed: same seed, same table.
    """
    columns = _columns(features, kinds or {})
    columns += negative_controls(label, seed)
    draws = enough_permutations(permutations, len(columns), alpha)
    results = usage_tests(
        columns,
        prediction,
        label,
        groups,
        tests=tests,
        permutations=draws,
        bootstrap=bootstrap,
        seed=seed,
    )
    table = pd.DataFrame([r.to_row() for r in results])
    place = list(table.columns).index("p_value") + 1
    table.insert(place, "p_adjusted", holm(table["p_value"]))
    table.insert(place + 1, "used", table["p_adjusted"] < alpha)
    table.attrs["permutations"] = draws
    if len(tests) > 1:
        for name in tests:
            table[f"p_{name}"] = [r.p_by_test.get(name, np.nan) for r in results]
    return table


def negative_controls(label: ArrayLike, seed: int) -> list[Column]:
    """Return two columns that are noise: one blind, one whose distribution follows the label."""
    label_code, names = codes(label)
    rng = np.random.default_rng([seed, 1])
    noise = rng.standard_normal(len(label_code))
    frequency = np.linspace(0.2, 0.8, max(2, len(names)))[label_code]
    follows = (rng.random(len(label_code)) < frequency).astype(np.float64)
    return [
        Column("control-noise", "control", "value", noise),
        Column("control-label-noise", "control", "presence", follows),
    ]


def measured_columns(features: FeatureSet) -> list[Column]:
    """Return what can be tested of the features of a run: presence or value, and area.

    The lesion is in every image, so only its area is.
    """
    found = []
    for name, kind in features.kinds.items():
        if name != LESION:
            found.append(as_column(features.table[name], name, kind))
        if name in features.masked:
            found.append(as_column(features.table[name + AREA], name, kind, "area"))
    return found


def _columns(features: pd.DataFrame | Sequence[Column], kinds: Mapping[str, str]) -> list[Column]:
    if not isinstance(features, pd.DataFrame):
        return list(features)
    found = []
    for name in map(str, features.columns):
        feature = name.removesuffix(AREA)
        aspect = "area" if feature != name and feature in features else None
        feature = feature if aspect else name
        found.append(as_column(features[name], feature, kinds.get(feature, "metadata"), aspect))
    return found
