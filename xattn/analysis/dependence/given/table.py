"""What the tests given other features add to feature_usage.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from xattn.analysis.dependence.given.effect import SMALLEST_PARTIAL
from xattn.analysis.dependence.given.explained import ALL_TOGETHER, explained_by
from xattn.analysis.dependence.given.sample import FEWEST_UNITS, GivenSample
from xattn.analysis.dependence.given.statistics import fraction_as_small
from xattn.analysis.dependence.missingness import together
from xattn.analysis.settings import LEARNERS
from xattn.errors import UsageError, near
from xattn.stats.adjust import enough_permutations, westfall_young
from xattn.stats.arrays import Floats
from xattn.stats.codes import codes, group_codes
from xattn.stats.columns import Column

OTHERS, NONE = "others", "none"


def held_fixed(columns: Sequence[Column], given: str | Sequence[str]) -> list[bool]:
    """Return which columns are held fixed while others are tested; no control is.

    Args:
        columns: all that are tested.
        given: "others" for all, "none" for none, or names of features, also several in one text
            between commas. The two words are never names of features.

    Raises:
        UsageError: there is no feature of a name, or a word stands beside names.
    """
    names = _named(columns, given)
    if OTHERS in names or NONE in names:
        if len(names) > 1:
            raise UsageError(
                f"Expected {OTHERS}, {NONE}, or features to hold fixed, but got several: "
                f"{', '.join(names)}"
            )
        return [names == [OTHERS] and column.kind != "control" for column in columns]
    known = dict.fromkeys(column.feature for column in columns if column.kind != "control")
    for name in names:
        if name not in known:
            raise UsageError(
                f"Expected {OTHERS}, {NONE} or features to hold fixed, but got {name!r}"
                f"{near(name, [*known, OTHERS, NONE])}"
            )
    return [column.feature in names and column.kind != "control" for column in columns]


def _named(columns: Sequence[Column], given: str | Sequence[str]) -> list[str]:
    """Return the names given, those between commas apart, unless a feature is called so."""
    known = {column.feature for column in columns}
    found: list[str] = []
    for text in [given] if isinstance(given, str) else given:
        found += [text] if text in known else [part.strip() for part in text.split(",")]
    return list(dict.fromkeys(name for name in found if name))


def given_table(
    columns: Sequence[Column],
    prediction: ArrayLike,
    label: ArrayLike,
    groups: ArrayLike | None,
    depends: Sequence[bool] | NDArray[np.bool_],
    *,
    given: str | Sequence[str] = OTHERS,
    learner: str = LEARNERS[0],
    permutations: int = 999,
    bootstrap: int = 1000,
    smallest: float = SMALLEST_PARTIAL,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Test every feature given the label and the other features: one row per column.

    Args:
        columns: features of n images.
        prediction: (n,) or (n, q) scores.
        label, groups: (n,).
        depends: which of them depend given the label alone; only of those is it asked what
            explains them.
        given: what is held fixed, see `held_fixed`.
        learner: "boosting" or "ridge", see `residuals`.
        permutations: flips of signs; more are drawn if the number of rows asks for it.
        bootstrap: replicates behind the intervals.
        smallest: partial correlation that matters.
        alpha: level of `explained_by`.
        seed: same seed, same table.

    Returns:
        The columns `p_given`, `p_given_adjusted`, `effect_given`, `effect_given_low`,
        `effect_given_high`, `p_equivalent`, `p_within`, `nearly_the_same`, `explained_by`.

    Raises:
        UsageError: a feature to hold fixed, or the learner, is unknown.
    """
    if learner not in LEARNERS:
        raise UsageError(
            f"Expected the learner {' or '.join(LEARNERS)}, but got {learner!r}"
            f"{near(learner, LEARNERS)}"
        )
    held = held_fixed(columns, given)
    everything = all(
        is_held or c.kind == "control" for is_held, c in zip(held, columns, strict=True)
    )
    rows: list[dict[str, Any]] = [dict(_EMPTY) for _ in columns]
    scores = np.asarray(prediction, dtype=np.float64)
    scores = scores.reshape(len(scores), -1)
    label_code = codes(label)[0]
    sample = GivenSample.of(
        columns, held, scores, label_code, group_codes(groups, len(label_code)),
        permutations=enough_permutations(permutations, len(columns), alpha), seed=seed,
        learner=learner,
    )  # fmt: skip
    if not any(held) or not sample.testable:
        return pd.DataFrame(rows, columns=list(_EMPTY))
    permuted = _test(sample, rows, bootstrap, smallest)
    _adjust(sample, rows, permuted)
    for i, row in enumerate(rows):
        if depends[i] and row["p_given_adjusted"] >= alpha:
            named = explained_by(sample, i, alpha)
            if named == (ALL_TOGETHER,) and not everything:
                named = ("all that is held fixed",)
            row["explained_by"] = "; ".join(named) or np.nan
    return pd.DataFrame(rows, columns=list(_EMPTY))


def given_one(
    column: Column,
    held: Sequence[Column],
    prediction: Floats,
    label: ArrayLike,
    groups: ArrayLike | None,
    *,
    permutations: int,
    bootstrap: int,
    seed: int,
    learner: str = LEARNERS[0],
) -> dict[str, Any]:
    """Test one feature given others: `p_given`, `effect_given` with its interval, `p_equivalent`.

    A `note` says why there are none.

    Args:
        column: the feature.
        held: what is held fixed beside the label, however much alike.
        prediction: (n, q).
        label, groups: (n,).
        permutations, bootstrap, seed, learner: as for `given_table`.
    """
    label_code = codes(label)[0]
    sample = GivenSample.of(
        [column, *held], [False, *(True for _ in held)], prediction, label_code,
        group_codes(groups, len(label_code)), permutations=permutations, seed=seed,
        learner=learner,
    )  # fmt: skip
    if not sample.testable:
        few = f"given the others: fewer than {FEWEST_UNITS} groups with a label and a prediction"
        return {"note": few}
    if not any(one.linear.shape[1] for one in sample.tested[1:]):
        return {"note": "given the others: nothing that is held fixed varies, or no name recurs"}
    part = sample.contributions(0, sample.others(0))
    partial = sample.partial(0, sample.others(0), bootstrap, SMALLEST_PARTIAL)
    return {
        "p_given": sample.p_value([part] if part else []),
        **partial.named,
    }


_EMPTY: Mapping[str, Any] = {
    "p_given": np.nan,
    "p_given_adjusted": np.nan,
    "effect_given": np.nan,
    "effect_given_low": np.nan,
    "effect_given_high": np.nan,
    "p_equivalent": np.nan,
    "p_within": np.nan,
    "nearly_the_same": np.nan,
    "explained_by": np.nan,
}


def _test(
    sample: GivenSample, rows: list[dict[str, Any]], bootstrap: int, smallest: float
) -> dict[int, Floats]:
    """Fill in what each cluster and each of its features says; return p under flips by cluster."""
    permuted: dict[int, Floats] = {}
    for number in np.unique(sample.cluster):
        mine = [int(i) for i in np.flatnonzero(sample.cluster == number)]
        parts = [(i, sample.contributions(i, sample.rest(i))) for i in mine]
        permuted[int(number)] = sample.smallest_p([part for _, part in parts if part is not None])
        for i in mine:
            row, rest = rows[i], sample.rest(i)
            row["p_given"] = fraction_as_small(permuted[int(number)])
            partial = sample.partial(i, rest, bootstrap, smallest)
            row |= partial.named
            if len(mine) > 1:
                within = sample.contributions(i, sample.others(i))
                row["p_within"] = sample.p_value([within] if within else [])
                row["nearly_the_same"] = _others(sample, mine, i)
    return permuted


def _others(sample: GivenSample, mine: Sequence[int], i: int) -> str | float:
    own = sample.tested[i].column.feature
    names = dict.fromkeys(sample.tested[k].column.feature for k in mine)
    return together([name for name in names if name != own]) or np.nan


def _adjust(
    sample: GivenSample, rows: list[dict[str, Any]], permuted: Mapping[int, Floats]
) -> None:
    """Adjust over clusters by the flips that all share (Westfall and Young).

    Features are adjusted for features: nobody asks whether a control is used, so that it need not
    cost them anything. A control is adjusted for all.
    """
    real = {
        int(number)
        for number, one in zip(sample.cluster, sample.tested, strict=True)
        if one.column.kind != "control"
    }
    of_cluster: dict[int, float] = {}
    for numbers in (list(permuted), [number for number in permuted if number in real]):
        if numbers:
            adjusted = westfall_young(np.stack([permuted[number] for number in numbers], axis=1))
            of_cluster |= dict(zip(numbers, map(float, adjusted), strict=True))
    for i, row in enumerate(rows):
        row["p_given_adjusted"] = of_cluster[int(sample.cluster[i])]
