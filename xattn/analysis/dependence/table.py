"""The usage test over all features, with negative controls and adjusted p-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.dependence.decisions import find_decision
from xattn.analysis.dependence.given.table import NONE, given_table
from xattn.analysis.dependence.kci import kci_p_values
from xattn.analysis.dependence.missingness import missingness
from xattn.analysis.dependence.result import UsageResult
from xattn.analysis.dependence.usage import scores_of, usage_tests
from xattn.analysis.settings import LEARNERS
from xattn.features.feature_set import LESION, FeatureSet
from xattn.stats.adjust import (
    benjamini_hochberg,
    enough_permutations,
    holm,
    westfall_young,
)
from xattn.stats.codes import codes
from xattn.stats.columns import Column, as_column

AREA, COUNT = ".area", ".count"


def usage_table(
    features: pd.DataFrame | Sequence[Column],
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    tests: Sequence[str] | None = None,
    decision: str = "min-p",
    permutations: int = 999,
    early_stopping: int | None = None,
    cross_check: bool = False,
    given: str | Sequence[str] = NONE,
    learner: str = LEARNERS[0],
    bootstrap: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Return feature_usage.csv: one row per feature and aspect, the two controls last.

    `test` is decision(aspect) or statistic(aspect), the aspect being presence (yes/no), area (as
    a fraction of the pixels), count, value, or missing (whether the value is known at all: tested
    wherever it is for some images and not for others; once for all features that are missing in
    the same images, which `stands_for` names). `p_adjusted` is adjusted over all rows by Westfall
    and Young's method on the permutations that all share, `used` says p_adjusted < alpha; Holm's
    `p_holm` and the false discovery rate's `p_bh` stand beside it. Under a decision by majority or
    early stopping, which leave no permutations to share, `p_adjusted` is Holm's.

    Two features that no classifier can know are always tested with the others and should come out
    unused: `control-noise` (normal), and `control-label-noise` (yes/no, whose frequency depends on
    the label: a test that forgets the condition finds it).

    Args:
        features: a table with one column a feature (`<name>.area` is an area of `<name>`), or
            columns.
        prediction: (n,) or (n, classes), see `usage_test`.
        label, groups: (n,).
        kinds: kind of each feature of a table; default metadata.
        tests, decision, early_stopping: see `usage_test`.
        permutations: more are drawn if the number of rows asks for it.
        cross_check: add `p_kci`, causal-learn's test of a part of the images, see `kci`.
        given: what else is held fixed: "others" for all other features, "none", or names; adds the
            columns of `given_table`.
        learner: what residuals are taken from given other features: "boosting" or "ridge".
        bootstrap: replicates for intervals.
        alpha: level of `used`.
        seed: same seed, same table.
    """
    columns = _columns(features, kinds or {})
    missing, stands_for = missingness(columns)
    columns += missing
    columns += negative_controls(label, seed)
    draws = enough_permutations(permutations, len(columns), alpha)
    results = usage_tests(
        columns,
        prediction,
        label,
        groups,
        tests=tests,
        decision=decision,
        permutations=draws,
        early_stopping=early_stopping,
        bootstrap=bootstrap,
        seed=seed,
    )
    table = pd.DataFrame([r.to_row() for r in results])
    shared = find_decision(decision).exact and early_stopping is None
    adjusted = {
        "p_adjusted": _together(results) if shared else holm(table["p_value"]),
        "p_holm": holm(table["p_value"]),
        "p_bh": benjamini_hochberg(table["p_value"]),
    }
    place = list(table.columns).index("p_value") + 1
    table.insert(place, "p_adjusted", adjusted.pop("p_adjusted"))
    table.insert(place + 1, "used", table["p_adjusted"] < alpha)
    table = table.assign(**adjusted)
    table["stands_for"] = ["; ".join(stands_for.get(i, ())) or np.nan for i in range(len(table))]
    table.attrs["permutations"] = draws
    table.attrs["adjusted"] = "Westfall-Young" if shared else "Holm"
    names = dict.fromkeys(name for r in results for name in r.p_by_test)
    if len(names) > 1:
        for name in names:
            table[f"p_{name}"] = [r.p_by_test.get(name, np.nan) for r in results]
    told = given_table(
        columns, scores_of(prediction), label, groups, table["used"].to_numpy(dtype=bool),
        given=given, learner=learner, permutations=permutations, bootstrap=bootstrap, alpha=alpha,
        seed=seed,
    )  # fmt: skip
    table = table.assign(**{str(name): told[name].to_numpy() for name in told})
    if cross_check:
        scores = np.asarray(prediction, dtype=np.float64)
        table["p_kci"] = kci_p_values(columns, scores, label, groups, seed=seed)
    return table


def _together(results: Sequence[UsageResult]) -> NDArray[np.float64]:
    """Adjust by the permutations; between sets of images they are drawn apart, hence independent.

    Features known for the same images share theirs. For independence between the others the
    adjustment is the one that independent tests need, which is cautious where they go together.
    """
    longest = max(len(r.p_permuted) for r in results)
    untested = np.full(longest, np.nan)
    every = [r.p_permuted if len(r.p_permuted) == longest else untested for r in results]
    return westfall_young(np.stack(every, axis=1))


def negative_controls(label: ArrayLike, seed: int) -> list[Column]:
    """Return two columns that are noise: one blind, one whose distribution follows the label.

    Args:
        label: (n,) of any kind.
        seed: same seed, same columns.
    """
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
    """Return what can be tested of the features of a run: presence or value, area and count.

    The lesion is in every image, so only its area is. Counts of at most one say no more than
    presence.

    Args:
        features: of the run.
    """
    found = []
    for name, kind in features.kinds.items():
        if name != LESION:
            found.append(as_column(features.table[name], name, kind))
        if name in features.masked:
            found.append(as_column(features.table[name + AREA], name, kind, "area"))
            if name != LESION and features.table[name + COUNT].max() > 1:
                found.append(as_column(features.table[name + COUNT], name, kind, "count"))
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
