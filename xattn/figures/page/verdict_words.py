"""Each verdict in plain words: what it says, what it does not, and which features it is on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.dependence.given.effect import SMALLEST_PARTIAL
from xattn.analysis.verdicts.rules import SMALLEST_CHANGE, SMALLEST_EFFECT
from xattn.figures.known_answers import known_answers
from xattn.figures.numbers import fixed, p_phrase, readable, with_interval
from xattn.figures.page.sentences import Finding, Item
from xattn.figures.run_sources import RunSources
from xattn.runs.tables import verdicts

_MOST_NAMED = 5  # features with their numbers
_MOST_LISTED = 12  # features by name alone


@dataclass(frozen=True)
class Meaning:
    """A verdict and what follows from it.

    Attributes:
        verdict: as in verdicts.csv.
        says, says_not: whole sentences.
    """

    verdict: str
    says: str
    says_not: str

    @property
    def known(self) -> str:
        """How often the verdict is wrong where the truth is known; "" if that was not measured."""
        return known_answers(self.verdict)


def meanings(sources: RunSources) -> list[Meaning]:
    """Return what the verdicts that occur in a run mean, in their usual order."""
    table = sources.table("verdicts")
    if table is None:
        return []
    change = sources.analysis.get("smallest_change", SMALLEST_CHANGE)
    effect = sources.analysis.get("smallest_effect", SMALLEST_EFFECT)
    partial = sources.analysis.get("smallest_partial", SMALLEST_PARTIAL)
    every = _meanings(f"{change:g}", f"{effect:g}", f"{partial:g}")
    return [m for m in every if (table["verdict"] == m.verdict).any()]


def verdict_findings(sources: RunSources) -> Iterator[Finding]:
    """Say which features each verdict is on, with the numbers behind it."""
    table = sources.table("verdicts")
    if table is None:
        return
    table = _with_effects(table, sources.table("feature_usage"))
    for verdict in verdicts.VERDICTS:
        rows = table[table["verdict"] == verdict]
        if rows.empty:
            continue
        word = _NUMBERS.get(verdict)
        edited = (verdicts.CHANGES, verdicts.MOVES, verdicts.HARDLY)
        size = "excess_logit" if verdict in edited else "rank_effect"
        rows = rows.loc[rows[size].astype(float).abs().sort_values(ascending=False).index]
        most = _MOST_LISTED if word is None else _MOST_NAMED
        items = [
            Item(readable(str(row["feature"])), "" if word is None else word(row))
            for _, row in rows.head(most).iterrows()
        ]
        yield Finding(f"{verdict[:1].upper()}{verdict[1:]}:", tuple(items), len(rows))


def _with_effects(table: pd.DataFrame, usage: pd.DataFrame | None) -> pd.DataFrame:
    """Add effect_bits with its interval from the test that a verdict rests on; NaN without one."""
    keys, numbers = ["feature", "test"], ["effect_bits", "effect_low", "effect_high"]
    bare = table.drop(columns=numbers, errors="ignore")
    if usage is None:
        return bare.assign(**dict.fromkeys(numbers, np.nan))
    known = usage[[*keys, *numbers]].drop_duplicates(keys).astype(dict.fromkeys(keys, object))
    return bare.astype(dict.fromkeys(keys, object)).merge(known, on=keys, how="left")


def _by_edit(row: pd.Series[Any]) -> str:
    """Word the edit behind a verdict, beside its control; of a graded one how the score follows."""
    if row.get("decided_by") == verdicts.GRADED:
        return _by_dose(row)
    moved, low, high = (float(row[c]) for c in ("excess_logit", "excess_low", "excess_high"))
    if not np.isfinite(moved):
        return ""
    flips, control = (100 * float(row[c]) for c in ("flip_rate", "control_flip_rate"))
    decides = np.isfinite(flips)  # a value decides nothing
    what = "logit" if decides else "value"
    of_decisions = f" and flips {fixed(flips, 1)} % of decisions against {fixed(control, 1)} %"
    return (
        f"{readable(str(row['intervention']))} moves the {what} by "
        f"{with_interval(moved, low, high)} beyond the same edit elsewhere"
        f"{of_decisions if decides else ''}; adjusted {p_phrase(float(row['intervention_p']))}"
    )


def _by_dose(row: pd.Series[Any]) -> str:
    """Word the change of the score over what a feature varies by."""
    columns = ("slope_change", "slope_change_low", "slope_change_high")
    moved, low, high = (float(row[c]) for c in columns)
    if not np.isfinite(moved):
        return ""
    along = row.get("changed_with")
    beside = (
        f"; {readable(str(along)).replace('; ', ', ')} changes along" if pd.notna(along) else ""
    )
    return (
        f"{readable(str(row['graded_edit']))} moves the score by {with_interval(moved, low, high)} "
        "standard deviations beyond an equal edit that leaves it alone; adjusted "
        f"{p_phrase(float(row['slope_p']))}{beside}"
    )


def _by_dependence(row: pd.Series[Any]) -> str:
    effect, low, high = (float(row[c]) for c in ("effect_bits", "effect_low", "effect_high"))
    p = float(row["p_adjusted"])
    if not np.isfinite(p):
        return ""
    size = f"{with_interval(effect, low, high)} bits; " if np.isfinite(effect) else ""
    return f"{size}adjusted {p_phrase(p)}"


def _by_partial(row: pd.Series[Any]) -> str:
    """Word what is left of a dependence with the other features held fixed."""
    effect, low, high = (
        float(row.get(c, np.nan)) for c in ("effect_given", "effect_given_low", "effect_given_high")
    )
    if not np.isfinite(effect):
        return _by_dependence(row)
    return (
        f"partial correlation {with_interval(effect, low, high)} given the others; adjusted "
        f"{p_phrase(float(row['p_given_adjusted']))}"
    )


def _by_others(row: pd.Series[Any]) -> str:
    """Word what a feature comes with: another feature, or what an edit leaves in place."""
    named = row.get("explained_by")
    with_what = f"with {readable(str(named)).replace('; ', ' and ')}" if pd.notna(named) else ""
    graded = row.get("decided_by") == verdicts.GRADED
    edited = graded or np.isfinite(float(row["excess_logit"]))
    return "; ".join(filter(None, (with_what, _by_partial(row), _by_edit(row) if edited else "")))


_NUMBERS: dict[str, Callable[[pd.Series[Any]], str]] = {
    verdicts.CHANGES: _by_edit,
    verdicts.MOVES: _by_edit,
    verdicts.HARDLY: _by_edit,
    verdicts.BEYOND: _by_partial,
    verdicts.LEFT_OPEN: _by_partial,
    verdicts.COMES_WITH: _by_others,
    verdicts.UNCLEAR: _by_dependence,
}


def _meanings(change: str, effect: str, partial: str) -> list[Meaning]:
    return [
        Meaning(
            verdicts.CHANGES,
            "Editing the feature itself, by its pixels or by degrees, moves the score by more than "
            "an equal edit of something else does, and significantly more decisions flip.",
            "It does not say that every image is affected, nor that the model is wrong because of "
            "it. An edit leaves traces, and its control may not share all of them.",
        ),
        Meaning(
            verdicts.MOVES,
            f"Editing the feature itself moves the value, by at least {change} standard "
            "deviations more than the same edit elsewhere in the image does.",
            "It does not say that every image is affected, nor that the value is wrong because of "
            "it. An edit leaves traces, and its control may not share all of them.",
        ),
        Meaning(
            verdicts.HARDLY,
            "Editing the feature moves the score by more than the same edit elsewhere, but flips "
            "not significantly more decisions.",
            "It does not say that the feature is harmless: with another threshold, or in images "
            "that are near it, such a shift can decide.",
        ),
        Meaning(
            verdicts.BEYOND,
            "Predictions depend on the feature among images of one label that are alike in all "
            "other features at hand.",
            "It does not say that the feature itself is the cause: what nobody annotated may go "
            "along with it. No edit has shown it.",
        ),
        Meaning(
            verdicts.LEFT_OPEN,
            "Predictions depend on the feature among images of one label that are alike in all "
            "other features at hand. It was edited, but that leaves open whether the score follows "
            "the feature itself.",
            "It does not say that the feature itself is the cause: what nobody annotated may go "
            "along with it. What would settle it stands in its row.",
        ),
        Meaning(
            verdicts.COMES_WITH,
            "Predictions depend on the feature among images of one label, but not by itself: with "
            f"the other features held fixed it adds less than a partial correlation of {partial}, "
            f"or editing it, by its pixels or by degrees, moves the score by less than {change} "
            "standard deviations.",
            "It does not say that the feature named is the cause, nor that an edit took away all "
            "that the model sees of the feature.",
        ),
        Meaning(
            verdicts.UNCLEAR,
            "Predictions depend on the feature among images of one label.",
            "It does not say whether on the feature itself or on something that goes along with "
            "it: no edit shows it, and there were too few images, or no other features, to "
            "tell.",
        ),
        Meaning(
            verdicts.NOT_USED,
            f"No dependence was found, and one that matters is ruled out (at the level of the "
            f"tests): a rank effect of {effect} given the label, or a partial correlation of "
            f"{partial} given the other features; or edits of it move the score by less than "
            f"{change} standard deviations.",
            "It does not say that nothing is used: a weaker effect is possible.",
        ),
        Meaning(
            verdicts.NOT_TESTABLE,
            f"No dependence was found, but the data are too few to rule out a rank effect of "
            f"{effect}, or the feature never varies.",
            "It says nothing on whether the model uses the feature.",
        ),
    ]
