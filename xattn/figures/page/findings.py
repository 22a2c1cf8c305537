"""What a run's tables say, in sentences with interval, chance level and control."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.groups.found import found_first
from xattn.figures.numbers import (
    count,
    fixed,
    listed,
    method_name,
    named,
    p_phrase,
    readable,
    with_interval,
)
from xattn.figures.page.performance import Performance
from xattn.figures.page.run_tables import (
    Tables,
    chance_of,
    features,
    lift,
    rate,
    used_rows,
)
from xattn.figures.page.sentences import Finding, Item
from xattn.figures.page.verdict_words import verdict_findings
from xattn.runs.tables.names import METRICS
from xattn.stats.intervals import Rate

_MOST_NAMED = 5  # features with their numbers
_MOST_CLASSES_SAID = 3  # in one sentence


def findings(tables: Tables, scores: Performance | None) -> list[Finding]:
    """Return what the tables say: performance, verdicts, maps, edits, gaps.

    Args:
        tables: of the run.
        scores: performance, or None where labels are missing.
    """
    return [
        *_performance(scores),
        *_not_learned(tables.sources.not_learned),
        *verdict_findings(tables.sources),
        *map(Finding, _used(tables) if tables.verdicts is None else _failed_controls(tables)),
        *map(Finding, _control_edits(tables)),
        *_looked_at(tables),
        *map(Finding, _agreeing(tables)),
        *_gaps(tables),
        *map(Finding, _unfair(tables)),
    ]


def _performance(scores: Performance | None) -> Iterator[Finding]:
    if scores is None:
        return
    which = " that had no part in its training" if scores.held_out else ""
    over = f"Over {count(scores.n, 'labelled image')}{which}"
    balanced = (
        f"balanced accuracy is {rate(scores.balanced_accuracy)}, where guessing gives "
        f"{fixed(scores.chance)}"
    )
    if len(scores.recall) <= _MOST_CLASSES_SAID:
        each = [f"{_percent(r)} of {readable(c)} images" for c, r in scores.recall.items()]
        yield Finding(
            f"{over} the model predicts {listed(each)} correctly; {balanced}. Intervals are "
            f"{scores.intervals}."
        )
        return
    items = [
        Item(readable(c), f"{_percent(r)} of {count(r.n, 'image')}")
        for c, r in scores.recall.items()
    ]
    says = f"{over} {balanced}; intervals are {scores.intervals}. Predicted correctly:"
    yield Finding(says, tuple(items))


def _not_learned(note: str) -> Iterator[Finding]:
    """Say, before any verdict, that these are of a score which may say nothing of the label."""
    if note:
        yield Finding(f"{note}.")


def _looked_at(tables: Tables) -> Iterator[Finding]:
    if tables.alignment is None:
        return
    for method in tables.sources.run.methods:
        rows, name = tables.fine(method), _capital(method_name(method))
        yield from _coarse(name, tables.too_coarse(method))
        if rows.empty:
            continue
        above, below = tables.apart_from_chance(method)
        if len(above):
            yield _placed(f"{name} attribution exceeds chance on", above)
        if len(below):
            yield _placed(f"{name} attribution is below chance on", below.iloc[::-1])
        if above.empty and below.empty:
            which = "the one feature" if len(rows) == 1 else f"any of {len(rows)} features"
            yield _placed(
                f"{name} attribution does not differ from chance on {which}; the largest lift "
                "over chance is on",
                rows[:1],
            )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _coarse(name: str, rows: pd.DataFrame) -> Iterator[Finding]:
    """Say of which features a map is too coarse to say anything."""
    if len(rows):
        items = [
            Item(
                readable(str(row["feature"])),
                f"masks cover {fixed(float(row['mask_cells']))} of a cell",
            )
            for _, row in rows.head(_MOST_NAMED).iterrows()
        ]
        says = f"{name} is too coarse, and its lift no evidence, for"
        yield Finding(says, tuple(items), len(rows))


def _placed(says: str, rows: pd.DataFrame) -> Finding:
    """Name features with their lift, its chance level and the adjusted p-value."""
    items = [
        Item(
            readable(str(row["feature"])),
            f"lift {lift(row)}{chance_of(row)}; adjusted {p_phrase(float(row['p_adjusted']))}",
        )
        for _, row in rows.head(_MOST_NAMED).iterrows()
    ]
    return Finding(says, tuple(items), len(rows))


def _used(tables: Tables) -> Iterator[str]:
    table = tables.usage
    if table is None:
        return
    alpha = tables.sources.alpha
    used, tested = used_rows(table), table[table["p_adjusted"].notna()]
    seen = set(used["feature"])
    by_effect = used.sort_values("effect_bits", ascending=False, kind="stable")
    best = by_effect.drop_duplicates("feature")
    if len(best):
        few = [_with_effect(row) for _, row in best.head(_MOST_NAMED).iterrows()]
        names = listed(few, len(best))
        yield (
            "Given the label, predictions still depend on "
            f"{names} (adjusted p < {alpha:g}): the model uses them, or something that goes "
            "along with them."
        )
    else:
        yield f"No feature was shown to be used (no adjusted p < {alpha:g})."
    others = [f for f in features(tested) if f not in seen]
    if others and len(best):
        yield f"No use was shown for {listed([readable(f) for f in others[:12]], len(others))}."
    yield from _failed_controls(tables)


def _failed_controls(tables: Tables) -> Iterator[str]:
    """Warn of negative controls that are significant."""
    if tables.usage is None:
        return
    failed = features(used_rows(tables.usage, controls=True), controls=True)
    if failed:
        yield (
            f"Warning: a negative control is significant: {listed(failed)}. No model can know it."
        )


def _control_edits(tables: Tables) -> Iterator[str]:
    """Say whether edits where nothing is annotated, which must change nothing, changed anything."""
    table = tables.interventions
    if table is None or "kind" not in table:
        return
    for _, row in table[(table["kind"] == "control") & table["p_value"].notna()].iterrows():
        low, high = float(row["excess_low"]), float(row["excess_high"])
        moved = with_interval(float(row["excess_logit"]), low, high)
        what = "value" if tables.sources.run.of_value else "logit"
        plain = tables.sources.words.skin
        control = (
            f"editing a patch of plain {plain} against another one moves the {what} by {moved}"
        )
        p = p_phrase(float(row["p_value"]))
        if row["p_value"] < tables.sources.alpha:
            yield f"Warning: a negative control is significant: {control} ({p})."
        else:
            yield f"The negative control is not significant: {control} ({p})."


def _agreeing(tables: Tables) -> Iterator[str]:
    """Say how far each pair of methods agrees, beside what their habits alone give."""
    table = tables.agreement
    if table is None:
        return
    known = table[table["rank_correlation"].notna()]
    for _, row in known.head(_MOST_NAMED).iterrows():
        keys = ("rank_correlation", "rank_correlation_low", "rank_correlation_high")
        middle, low, high = (float(row[k]) for k in keys)
        value = with_interval(middle, low, high)
        chance = float(row["chance_rank_correlation"])
        p = p_phrase(float(row["p_adjusted"]))
        shown = row["p_adjusted"] < tables.sources.alpha
        more = "more" if row["rank_correlation"] > chance else "less"
        side = f"agree {more} than" if shown else "do not agree more or less than"
        methods = f"{_capital(method_name(row['method_a']))} and {method_name(row['method_b'])}"
        yield (
            f"{methods} maps of one image {side} maps of different images: rank correlation "
            f"{value}, chance {fixed(chance)} (adjusted {p})."
        )


def _gaps(tables: Tables) -> Iterator[Finding]:
    table = tables.bias
    if table is None:
        return
    alpha, sides = tables.sources.alpha, _sides(table)
    known = table[table["p_adjusted"].notna()]
    found = found_first(known[known["p_adjusted"] < alpha], "gap", alpha)
    if known.empty:
        yield Finding(f"No gap {sides} could be measured: there are too few images of each class.")
        return
    if found.empty:
        gaps = "The one gap" if len(known) == 1 else f"None of the {len(known):,} gaps"
        is_not = "is not" if len(known) == 1 else "is"
        yield Finding(f"{gaps} {sides} {is_not} significant (adjusted p < {alpha:g}).")
        return
    items = [_gap(row) for _, row in found.head(_MOST_NAMED).iterrows()]
    are = "is" if len(found) == 1 else "are"
    which = "" if len(found) == 1 else ", the largest first"
    yield Finding(
        f"{len(found):,} of {count(len(known), 'gap')} {sides} {are} significant{which}:",
        tuple(items),
        len(found),
    )


def _gap(row: pd.Series[Any]) -> Item:
    gap = with_interval(*_times_100(row))
    sides = f"{fixed(float(row['present']))} with, {fixed(float(row['absent']))} without"
    return Item(
        f"{named(str(row['metric']), METRICS)} with {readable(str(row['feature']))}",
        f"{gap} points; {sides}; adjusted {p_phrase(float(row['p_adjusted']))}",
    )


def _sides(table: pd.DataFrame) -> str:
    """Say what the gaps of a table are between."""
    groups = "category" in table and table["category"].notna().any()
    others = ", or in and outside one group of images," if groups else ""
    return f"between images with and without an artifact{others}"


def _times_100(row: pd.Series[Any]) -> tuple[float, float, float]:
    return 100 * float(row["gap"]), 100 * float(row["gap_low"]), 100 * float(row["gap_high"])


def _with_effect(row: pd.Series[Any]) -> str:
    name = readable(str(row["feature"]))
    effect, low, high = (float(row[c]) for c in ("effect_bits", "effect_low", "effect_high"))
    return f"{name} ({with_interval(effect, low, high)} bits)" if np.isfinite(effect) else name


def _percent(rate: Rate) -> str:
    return with_interval(100 * rate.value, 100 * rate.low, 100 * rate.high, " %")


def _unfair(tables: Tables) -> Iterator[str]:
    """Name the widest gap of rates between any two groups of patients or of artifacts."""
    table = tables.fairness
    if table is None:
        return
    rows = table[(table["metric"] == "equalized_odds_difference") & table["p_adjusted"].notna()]
    if rows.empty:
        return
    found = rows[rows["p_adjusted"] < tables.sources.alpha]
    top = (found if len(found) else rows).sort_values("value", kind="stable").iloc[-1]
    middle, low, high = (float(top[k]) for k in ("value", "low", "high"))
    value = with_interval(middle, low, high)
    differ = "differs" if len(found) == 1 else "differ"
    held = "" if len(found) else "none is significant, the widest is by "
    yield (
        f"Equalised odds between the groups of {count(len(rows), 'feature')}: "
        f"{f'{len(found)} {differ} significantly, the most by ' if len(found) else held}"
        f"{readable(str(top['feature']))} (largest gap of TPR or FPR {value}; groups assigned "
        f"at random {fixed(float(top['chance']))}; adjusted {p_phrase(float(top['p_adjusted']))})."
    )
