"""How often each kind of evidence is right: recall, false alarms, calibration, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.known.findings import VERDICT
from xattn.analysis.known.world import CORRELATE, SHORTCUT
from xattn.analysis.verdicts.rules import SMALLEST_CHANGE
from xattn.stats.intervals import Rate, clustered_rate

USED_FROM = 0.5
"""Standard deviations of the score within labels from which a feature has to be found."""
NULL_BELOW = 0.1
"""Below so many a feature is not used; between the two it is neither."""
EVEN_SINGLY = 0.25
"""Root mean square of the changes, scene by scene, that a feature which is not used stays below."""
LEARNED = 0.7
"""Balanced accuracy on new images from which a network has learned."""

USED, WEAK, EASY, HARD, MIXED = "used", "weak", "easy null", "hard null", "mixed"
TRUTHS = (USED, WEAK, EASY, HARD, MIXED)
RECALL, FALSE_ALARMS, RIGHT = "recall", "false alarms", "right"
FORGOTTEN, LEARNING = "not used without the plant", "learned"
ALL = "all"
_LEVELS = (0.01, 0.05, 0.2)
_BANDS = ((0.1, 0.2), (0.2, 0.5), (0.5, 1.0), (1.0, np.inf))
_CERTAINTY = ((0.0, 0.001), (0.001, 0.01), (0.01, 0.05))

Flags = NDArray[np.bool_]


def with_truth(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with `truth`, what is known of the feature in the network.

    Args:
        rows: with network, feature, role, goes_with, effect and size; of each network and feature
            any number.
    """
    strength = rows["effect"].abs()
    own = rows.drop_duplicates(["network", "feature"]).set_index(["network", "feature"])
    places = pd.MultiIndex.from_frame(rows[["network", "goes_with"]])
    of_other = own["effect"].abs().reindex(places).to_numpy()
    beside = (rows["role"] == CORRELATE).to_numpy() & (of_other >= NULL_BELOW)
    null = ((strength < NULL_BELOW) & (rows["size"] < EVEN_SINGLY)).to_numpy()
    truth = np.select(
        [strength >= USED_FROM, strength >= NULL_BELOW, null & beside, null],
        [USED, WEAK, HARD, EASY],
        MIXED,
    )
    return rows.assign(truth=truth)


def rates_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of known_answers.csv.

    Networks that did not learn are in `learned` alone. Intervals are Wilson's, with as many
    independent rows as the agreement within worlds leaves.

    Args:
        rows: of known.csv.
    """
    learned = rows[rows["learned"]]
    found = [*_learning(rows), *_forgotten(rows)]
    for half in [ALL, *sorted(rows["half"].unique())]:
        part = learned if half == ALL else learned[learned["half"] == half]
        found += [{"half": half, "by": ALL, "level": ALL, **row} for row in _whole(part)]
    for by in ("architecture", "images", "role", "log_odds", "agreement", "feature"):
        for level, part in learned.groupby(by):
            if by == "agreement":
                part = part[part["role"] == CORRELATE]
            named = {"half": ALL, "by": by.replace("_", " "), "level": _plain(level)}
            found += [{**named, **row} for row in _outline(part)]
    columns = ["half", "by", "level", "evidence", "question", "of"]
    return pd.DataFrame(found, columns=[*columns, "n", "networks", "rate", "low", "high"])


def _whole(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield all that is asked of all networks."""
    yield from _outline(rows)
    strength = rows["effect"].abs()
    for low, high in _BANDS:
        band = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} or more"
        yield from _each(rows[(strength >= low) & (strength < high)], RECALL, band, _said)
    for of in (EASY, HARD):
        for level in _LEVELS:
            known = rows[(rows["truth"] == of) & rows["p_value"].notna()]
            yield from _each(known, f"p at most {level:g}", of, _p_at_most(level))
    said = rows[rows["said"] & (rows["truth"] != MIXED)]
    yield from _each(said, RIGHT, ALL, _is_used)
    for low, high in _CERTAINTY:
        sure = said[(said["p_adjusted"] > low) & (said["p_adjusted"] <= high)]
        yield from _each(sure, RIGHT, f"p from {low:g} to {high:g}", _is_used)


def _outline(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield recall and false alarms of each kind of evidence."""
    yield from _each(rows[rows["truth"] == USED], RECALL, USED, _said)
    shortcuts = rows[(rows["truth"] == USED) & (rows["role"] == SHORTCUT)]
    yield from _each(shortcuts, RECALL, f"{USED} shortcuts", _said)
    for of in (EASY, HARD):
        yield from _each(rows[rows["truth"] == of], FALSE_ALARMS, of, _said)


def _each(
    rows: pd.DataFrame, question: str, of: str, hit: Callable[[pd.DataFrame], Flags]
) -> Iterator[dict[str, Any]]:
    """Yield a rate for each kind of evidence among some rows."""
    for evidence, part in rows.groupby("evidence", sort=False):
        yield {"evidence": evidence, "question": question, "of": of, **_rate(hit(part), part)}


def _rate(hits: Flags, rows: pd.DataFrame) -> dict[str, Any]:
    rate: Rate = clustered_rate(hits, rows["world"], rows["network"])
    facts = {"n": rate.n, "networks": rows["network"].nunique()}
    return facts | {"rate": rate.value, "low": rate.low, "high": rate.high}


def _learning(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Say of each architecture how many networks learned."""
    networks = rows.drop_duplicates("network")
    kinds = {ALL: networks} | {str(k): part for k, part in networks.groupby("architecture")}
    for level, part in kinds.items():
        for planted, of in ((True, "with the plant"), (False, "without it")):
            own = part[part["planted"] == planted]
            if len(own):
                by = ALL if level == ALL else "architecture"
                named = {"half": ALL, "by": by, "level": level, "evidence": "", "of": of}
                hits = own["learned"].to_numpy(bool)
                yield {**named, "question": LEARNING, **_rate(hits, own)}


def _forgotten(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Say how many of the shortcuts that are used are not, once retrained without the plant."""
    own = rows[(rows["evidence"] == VERDICT) & rows["learned"] & (rows["role"] == SHORTCUT)]
    keys = ["world", "architecture", "seed", "feature"]
    without = own[~own["planted"]].set_index(keys)["effect"].abs()
    used = own[own["planted"] & (own["truth"] == USED)]
    again = without.reindex(pd.MultiIndex.from_frame(used[keys])).to_numpy()
    pairs, known = used[~np.isnan(again)], again[~np.isnan(again)]
    for half in [ALL, *sorted(rows["half"].unique())]:
        mine = (pairs["half"] == half).to_numpy() | (half == ALL)
        for below in (NULL_BELOW, SMALLEST_CHANGE, USED_FROM):
            if mine.any():
                named = {"half": half, "by": ALL, "level": ALL, "evidence": ""}
                named |= {"question": FORGOTTEN, "of": f"below {below:g}"}
                yield {**named, **_rate(known[mine] < below, pairs[mine])}


def _said(rows: pd.DataFrame) -> Flags:
    return rows["said"].to_numpy(bool)


def _is_used(rows: pd.DataFrame) -> Flags:
    return rows["truth"].isin([USED, WEAK]).to_numpy(bool)


def _p_at_most(level: float) -> Callable[[pd.DataFrame], Flags]:
    return lambda rows: (rows["p_value"] <= level).to_numpy(bool)


def _plain(level: Any) -> str:
    return f"{level:g}" if isinstance(level, int | float | np.number) else str(level)
