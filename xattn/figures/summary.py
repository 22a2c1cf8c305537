"""What a run says, in plain sentences: findings with chance and interval, then what limits them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xattn.figures.alignment import ALL_LABELS
from xattn.figures.bias import METRICS
from xattn.figures.evidence import Evidence
from xattn.figures.numbers import (
    count,
    fixed,
    listed,
    p_phrase,
    readable,
    with_interval,
)
from xattn.figures.performance import Performance, Rate

_MOST_NAMED = 5  # features in one sentence


@dataclass(frozen=True)
class Fact:
    """One number at the top of the page: what it is, its value, and chance or spread."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Summary:
    """Facts at a glance, findings in sentences, and caveats."""

    facts: list[Fact]
    findings: list[str]
    caveats: list[str]


def summarise(evidence: Evidence, scores: Performance | None, defects: dict[str, int]) -> Summary:
    """Say what the run's tables say.

    Args:
        evidence: of the run.
        scores: performance, or None where labels are missing.
        defects: method -> number of maps without positive attribution.
    """
    tables = _Tables(evidence)
    facts = [_images(evidence), *_performance_fact(scores)]
    facts += [*_looked_at_fact(tables), *_used_fact(tables)]
    findings = [*_performance(scores), *_looked_at(tables), *_used(tables), *_gaps(tables)]
    caveats = [*_about_images(evidence), *_about_maps(evidence, defects), *_about_tests(tables)]
    return Summary(facts, findings, caveats)


class _Tables:
    """The tables that are there, ready for the sentences; absent ones are None."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.alignment = evidence.table("alignment")
        self.usage = evidence.table("feature_usage")
        self.bias = evidence.table("bias")

    def ranked(self, method: str) -> pd.DataFrame:
        """Rows of one method over all labels, the largest lift over chance first."""
        assert self.alignment is not None
        table = self.alignment
        rows = table[(table["method"] == method) & (table["label"] == ALL_LABELS)]
        rows = rows[rows["lift"].notna()]
        chance = rows["chance_lift"] if "chance_lift" in rows else pd.Series(1.0, rows.index)
        over = rows["lift_over_chance"] if "lift_over_chance" in rows else rows["lift"] / chance
        rows = rows.assign(over=over.fillna(rows["lift"]))
        return rows.sort_values("over", ascending=False, kind="stable")

    def apart_from_chance(self, method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split the significant rows of `ranked` into those above and those below chance."""
        rows = self.ranked(method)
        rows = rows[rows["p_adjusted"] < self.evidence.alpha]
        return rows[rows["over"] > 1], rows[rows["over"] <= 1]


def _images(evidence: Evidence) -> Fact:
    run = evidence.run
    labels = evidence.labels[evidence.labels != ""].value_counts().sort_index()
    shares = listed([f"{int(n):,} {readable(str(c))}" for c, n in labels.items()])
    note = shares or "without labels"
    errors = evidence.table("errors")
    if errors is not None:
        note += f"; {count(len(errors), 'fault')}, see below"
    return Fact("Images", f"{len(run.predictions):,}", note)


def _performance_fact(scores: Performance | None) -> Iterator[Fact]:
    if scores is not None:
        note = f"guessing gives {fixed(scores.chance)}; 95 % interval"
        yield Fact("Balanced accuracy", _rate(scores.balanced_accuracy), note)


def _looked_at_fact(tables: _Tables) -> Iterator[Fact]:
    if tables.alignment is None:
        return
    method = tables.evidence.run.methods[0]
    above, _ = tables.apart_from_chance(method)
    if len(above):
        top = above.iloc[0]
        note = f"by {method}: lift {_lift(top)}{_chance_of(top)}"
        yield Fact("Most looked at", readable(str(top["feature"])), note)
    else:
        alpha = tables.evidence.alpha
        note = f"no lift of {method} is above chance (adjusted p < {alpha:g})"
        yield Fact("Most looked at", "none for certain", note)


def _used_fact(tables: _Tables) -> Iterator[Fact]:
    if tables.usage is None:
        return
    tested = _features(tables.usage[tables.usage["p_adjusted"].notna()])
    used = _features(_used_rows(tables.usage))
    controls = tables.usage[tables.usage["kind"] == "control"]["feature"].nunique()
    passed = controls - _used_rows(tables.usage, controls=True)["feature"].nunique()
    note = f"adjusted p < {tables.evidence.alpha:g}"
    if controls:
        note += f"; {passed} of {controls} controls unused, as they should be"
    yield Fact("Features used", f"{len(used)} of {len(tested)}", note)


def _performance(scores: Performance | None) -> Iterator[str]:
    if scores is None:
        return
    recalls = listed([f"{_percent(r)} of {readable(c)} images" for c, r in scores.recall.items()])
    yield (
        f"Over {count(scores.n, 'labelled image')} the model recognises {recalls}; "
        f"balanced accuracy is {_rate(scores.balanced_accuracy)}, where guessing gives "
        f"{fixed(scores.chance)}. Intervals are 95 % (Wilson's, combined over classes)."
    )


def _looked_at(tables: _Tables) -> Iterator[str]:
    if tables.alignment is None:
        return
    for method in tables.evidence.run.methods:
        rows = tables.ranked(method)
        if rows.empty:
            continue
        above, below = tables.apart_from_chance(method)
        parts = []
        if len(above):
            parts.append(f"more than by chance on {_placed(above)}")
        if len(below):
            parts.append(f"less than by chance on {_placed(below.iloc[::-1])}")
        if parts:
            yield f"The maps of {method} lie {' and '.join(parts)}."
        else:
            yield (
                f"The maps of {method} lie on none of {count(len(rows), 'feature')} more or less "
                f"than by chance; the largest lift over chance is on {_placed(rows[:1])}."
            )


def _placed(rows: pd.DataFrame) -> str:
    """Name features with their lift, its chance level and the adjusted p-value."""
    return listed(
        [
            f"{readable(str(row['feature']))} (lift {_lift(row)}{_chance_of(row)}; "
            f"adjusted {p_phrase(float(row['p_adjusted']))})"
            for _, row in rows.head(_MOST_NAMED).iterrows()
        ],
        len(rows),
    )


def _lift(row: pd.Series[Any]) -> str:
    return with_interval(float(row["lift"]), float(row["lift_low"]), float(row["lift_high"]))


def _chance_of(row: pd.Series[Any]) -> str:
    chance = float(row.get("chance_lift", np.nan))
    return f"; by chance {fixed(chance)}" if np.isfinite(chance) else ""


def _used(tables: _Tables) -> Iterator[str]:
    table = tables.usage
    if table is None:
        return
    alpha = tables.evidence.alpha
    used, tested = _used_rows(table), table[table["p_adjusted"].notna()]
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
    others = [f for f in _features(tested) if f not in seen]
    if others and len(best):
        yield f"No use was shown for {listed([readable(f) for f in others[:12]], len(others))}."
    failed = _features(_used_rows(table, controls=True), controls=True)
    if failed:
        yield (
            f"Take care: the control {listed(failed)}, which no model can know, came out as used."
        )


def _gaps(tables: _Tables) -> Iterator[str]:
    table = tables.bias
    if table is None:
        return
    known = table[table["p_adjusted"].notna()]
    found = known[known["p_adjusted"] < tables.evidence.alpha]
    if found.empty:
        yield (
            f"None of {count(len(known), 'gap')} {_sides(table)} is significant "
            f"(adjusted p < {tables.evidence.alpha:g})."
        )
        return
    top = found.iloc[int(found["gap"].abs().argmax())]
    gap = with_interval(*_times_100(top))
    metric = METRICS.get(str(top["metric"]), readable(str(top["metric"])))
    sides = f"{fixed(float(top['present']))} with, {fixed(float(top['absent']))} without"
    yield (
        f"{len(found)} of {count(len(known), 'gap')} {_sides(table)} "
        f"{'is' if len(found) == 1 else 'are'} significant; the largest is of {metric} with "
        f"{readable(str(top['feature']))}: {gap} points ({sides}; "
        f"adjusted {p_phrase(float(top['p_adjusted']))})."
    )


def _sides(table: pd.DataFrame) -> str:
    """Say what the gaps of a table are between."""
    groups = "category" in table and table["category"].notna().any()
    others = ", or in and outside a group of patients," if groups else ""
    return f"between images with and without an artifact{others}"


def _times_100(row: pd.Series[Any]) -> tuple[float, float, float]:
    return 100 * float(row["gap"]), 100 * float(row["gap_low"]), 100 * float(row["gap_high"])


def _about_images(evidence: Evidence) -> Iterator[str]:
    run = evidence.run
    if "split" in run.predictions:
        splits = run.predictions["split"].value_counts().sort_index()
        parts = listed([f"{int(n):,} {s}" for s, n in splits.items()])
        yield f"The images are {parts}; numbers here are over all of them."
    else:
        yield _whether_trained_on(run.settings.get("training") or {})
    yield from (f"{note}." for note in evidence.analysis.get("notes", []))
    known = evidence.features
    if known is not None and known.table["group"].isna().all():
        yield (
            "No groups (patients, lesions) are annotated, so every image counts as independent; "
            "where several show one lesion, intervals are too narrow."
        )


def _whether_trained_on(training: dict[str, Any]) -> str:
    images = training.get("splits", {}).get("train", {}).get("images")
    known = "" if images is None else f" ({images:,} images)"
    return (
        f"The run does not record which of these images the model was trained on{known}. Where it "
        "was, its accuracy here is too good, and gaps may be too small."
    )


def _about_maps(evidence: Evidence, defects: dict[str, int]) -> Iterator[str]:
    total = len(evidence.run.predictions)
    for method, n in defects.items():
        if n:
            yield (
                f"{n:,} of {total:,} {method} maps have no positive attribution (all zero, "
                "constant, or not finite); they are shown as such and left out of the scores."
            )


def _about_tests(tables: _Tables) -> Iterator[str]:
    if tables.alignment is not None:
        yield (
            "Where a map lies is not yet what the model uses: a map may lie on a feature that "
            "changes nothing. Read alignment together with usage."
        )
    if tables.usage is not None:
        yield (
            "A feature without a significant result is not shown to be unused: the data may be "
            "too few."
        )


def _used_rows(table: pd.DataFrame, controls: bool = False) -> pd.DataFrame:
    """Return the rows of features that are used, of real ones or of controls."""
    used = table["used"].isin([True, "True"])
    return table[used & ((table["kind"] == "control") == controls)]


def _features(table: pd.DataFrame, controls: bool = False) -> list[str]:
    table = table[(table["kind"] == "control") == controls]
    return list(dict.fromkeys(table["feature"].astype(str)))


def _with_effect(row: pd.Series[Any]) -> str:
    name = readable(str(row["feature"]))
    effect, low, high = (float(row[c]) for c in ("effect_bits", "effect_low", "effect_high"))
    return f"{name} ({with_interval(effect, low, high)} bits)" if np.isfinite(effect) else name


def _rate(rate: Rate) -> str:
    return with_interval(rate.value, rate.low, rate.high)


def _percent(rate: Rate) -> str:
    return with_interval(100 * rate.value, 100 * rate.low, 100 * rate.high, " %")
