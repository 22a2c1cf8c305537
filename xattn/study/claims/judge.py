"""What a study found, held against a claim."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from xattn.runs.tables.claims import AGREES, DISAGREES, OPEN
from xattn.runs.tables.verdicts import SAY_NOT_USED, SAY_USED
from xattn.stats.intervals import wilson
from xattn.study.claims.settings import NO_GAIN, NO_MORE, USED, Claim, matching

_HALF = 0.5
ALL = "all"

_FRACTIONS = {
    USED: "fraction of networks that use it",
    NO_MORE: "fraction of networks in which {method} shows it and {against} does not",
    NO_GAIN: "difference of {metric}",
}


@dataclass(frozen=True)
class Network:
    """A trained network of a study.

    Attributes:
        model: name of its recipe.
        verdicts: verdicts.csv of its run.
        learned: whether its balanced accuracy on test images is shown to be above chance.
    """

    model: str
    verdicts: pd.DataFrame
    learned: bool


@dataclass(frozen=True)
class Judged:
    """One row of claims.csv; see there."""

    about: str
    found: str
    measure: str = ""
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    effect: tuple[float, float, float] = field(default=(np.nan, np.nan, np.nan))
    smallest: float = np.nan
    left_out: int = 0


def judge(
    claim: Claim, networks: Sequence[Network], pairs: pd.DataFrame | None, alpha: float = 0.05
) -> list[Judged]:
    """Return what a study found on a claim: of all together first, then part by part.

    A feature is used if most networks use it: if the 95 % interval of the fraction of networks
    whose verdict says so lies above one half. It is not used if that of the fraction whose verdict
    says that it comes with another or is less than what matters does. Between these nothing can be
    told. Networks are counted that do better than chance on test images; what the others do says
    nothing of what can be learnt.

    "Not used" of several features is said of each of them; "used" likewise, unless one suffices.
    "No gain" agrees where the whole interval of every difference lies below what matters, and
    disagrees where one is significant and positive.

    Args:
        claim: what is said.
        networks: of the study.
        pairs: comparison.csv, None if there is none.
        alpha: level of the lifts of maps.
    """
    if claim.says == NO_GAIN:
        parts = list(_gains(claim, pairs))
    else:
        chosen = [one for one in networks if _matches(one.model, claim.models)]
        learned = [one for one in chosen if one.learned]
        names = dict.fromkeys(name for one in chosen for name in one.verdicts["feature"])
        features = [name for name in names if _matches(str(name), claim.features)]
        lost = len(chosen) - len(learned)
        tell = _more_by_map if claim.says == NO_MORE else _usage
        parts = [tell(claim, str(name), learned, lost, alpha) for name in features]
    return [Judged(ALL, _together(claim, parts)), *parts]


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(matching(pattern, [name]) for pattern in patterns)


def _together(claim: Claim, parts: Sequence[Judged]) -> str:
    """Return what follows for the claim as a whole."""
    found = [part.found for part in parts]
    one, other = (AGREES, DISAGREES) if claim.says == USED and claim.any else (DISAGREES, AGREES)
    if one in found:
        return one
    return other if found and all(each == other for each in found) else OPEN


def _usage(
    claim: Claim, feature: str, networks: Sequence[Network], lost: int, _alpha: float
) -> Judged:
    """Count the networks that use a feature, and those that do not."""
    rows = _rows_of(feature, networks)
    measure = _FRACTIONS[USED]
    if not len(rows):
        return Judged(feature, OPEN, measure, left_out=lost)
    n = len(rows)
    used = wilson(int(rows["verdict"].isin(SAY_USED).sum()), n)
    unused = wilson(int(rows["verdict"].isin(SAY_NOT_USED).sum()), n)
    yes, no = (AGREES, DISAGREES) if claim.says == USED else (DISAGREES, AGREES)
    found = yes if used.low > _HALF else no if unused.low > _HALF else OPEN
    return Judged(
        feature, found, measure, used.value, used.low, used.high, n,
        effect=_mean_effect(rows),
        smallest=_median(rows, "detectable_effect"),
        left_out=lost,
    )  # fmt: skip


def _more_by_map(
    claim: Claim, feature: str, networks: Sequence[Network], lost: int, alpha: float
) -> Judged:
    """Count the networks in which one method's maps lie on a feature and another's do not."""
    rows = _rows_of(feature, networks)
    measure = _FRACTIONS[NO_MORE].format(method=claim.method, against=claim.against)
    both = [f"lift_p_{name}" for name in (claim.method, claim.against)]
    if not set(both) <= set(rows.columns) or not len(rows.dropna(subset=both)):
        return Judged(feature, OPEN, measure, left_out=lost)
    rows = rows.dropna(subset=both)
    shown, before = (_on_it(rows, name, alpha) for name in (claim.method, claim.against))
    more = wilson(int((shown & ~before).sum()), len(rows))
    found = AGREES if more.high < _HALF else DISAGREES if more.low > _HALF else OPEN
    return Judged(
        feature, found, measure, more.value, more.low, more.high, len(rows), left_out=lost
    )


def _on_it(rows: pd.DataFrame, method: str, alpha: float) -> pd.Series:
    """Whether maps lie on the feature more than on that of other images."""
    lift = rows[f"lift_over_chance_{method}"].astype(float)
    found = (rows[f"lift_p_{method}"].astype(float) < alpha) & (lift > 1)
    if (coarse := f"too_coarse_{method}") in rows:
        found &= ~rows[coarse].fillna(False).astype(bool)
    return found


def _gains(claim: Claim, pairs: pd.DataFrame | None) -> Iterator[Judged]:
    """Hold models against what they were compared with, over seeds."""
    if pairs is None or not len(pairs):
        return
    welch = pairs[pairs["test"] == "welch"]
    for row in welch.to_dict("records"):
        if not _matches(str(row["a"]), claim.models):
            continue
        about = f"{row['a']} - {row['b']}, {row['split']}"
        measure = _FRACTIONS[NO_GAIN].format(metric=row["metric"])
        found = OPEN
        if row["verdict"] == "better":
            found = DISAGREES
        elif row["high"] < claim.matters:
            found = AGREES
        yield Judged(
            about, found, measure, row["difference"], row["low"], row["high"], int(row["n"]),
            smallest=float(row.get("smallest", np.nan)),
        )  # fmt: skip


def _rows_of(feature: str, networks: Sequence[Network]) -> pd.DataFrame:
    found = [one.verdicts[one.verdicts["feature"] == feature].head(1) for one in networks]
    found = [rows for rows in found if len(rows)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _mean_effect(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Return the mean of the networks' effects and of the ends of their intervals."""
    names = ("effect_given", "effect_given_low", "effect_given_high")
    if not set(names) <= set(rows.columns):
        return (np.nan, np.nan, np.nan)
    known = rows[list(names)].astype(float).dropna()
    middle, low, high = known.mean() if len(known) else (np.nan,) * 3
    return float(middle), float(low), float(high)


def _median(rows: pd.DataFrame, column: str) -> float:
    values = rows[column].astype(float).dropna() if column in rows else pd.Series(dtype=float)
    return float(values.median()) if len(values) else float("nan")


def rows_of(claim: Claim, parts: Sequence[Judged]) -> list[Mapping[str, object]]:
    """Return the rows of claims.csv.

    Args:
        claim: what is said.
        parts: as `judge` gives them.
    """
    rows = list[Mapping[str, object]]()
    for one in parts:
        values = dict(vars(one))
        effect, low, high = values.pop("effect")
        told = {"claim": claim.claim, "source": claim.source}
        rows.append({**told, **values, "effect": effect, "effect_low": low, "effect_high": high})
    return rows
