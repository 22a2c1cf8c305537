"""What a run says, in plain sentences: findings with chance and interval, then what limits them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xattn.figures.numbers import count, fixed, listed, method_name, readable, with_interval
from xattn.figures.page.caveats import caveats
from xattn.figures.page.findings import findings
from xattn.figures.page.performance import Performance
from xattn.figures.page.run_tables import (
    Tables,
    chance_of,
    features,
    lift,
    rate,
    used_rows,
)
from xattn.figures.page.sentences import Finding
from xattn.figures.run_sources import RunSources
from xattn.runs.tables.names import METRICS
from xattn.runs.tables.verdicts import CHANGES, MOVES


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
    findings: list[Finding]
    caveats: list[str]


def summarise(sources: RunSources, scores: Performance | None, defects: dict[str, int]) -> Summary:
    """Say what the run's tables say.

    Args:
        sources: of the run.
        scores: performance, or None where labels are missing.
        defects: method -> number of maps without positive attribution.
    """
    tables = Tables(sources)
    facts = [_images(sources), *_performance_fact(scores), *_grade_facts(sources)]
    facts += _value_fact(sources)
    facts += [*_attribution_fact(tables), *_used_fact(tables), *_changes_fact(tables)]
    return Summary(facts, findings(tables, scores), caveats(tables, scores, defects))


def _images(sources: RunSources) -> Fact:
    run = sources.run
    labels = sources.labels[sources.labels != ""].value_counts().sort_index()
    fractions = listed([f"{int(n):,} {readable(str(c))}" for c, n in labels.items()])
    note = fractions or "without labels"
    if run.of_value:
        note = f"{run.of_output} is known of {labels.sum():,}"
    if run.of_output and (unknown := len(run.predictions) - int(labels.sum())):
        note += f"; of {unknown:,} it is not known"
    errors = sources.table("errors")
    if errors is not None:
        note += f"; {count(len(errors), 'problem')}, see below"
    return Fact("Images", f"{len(run.predictions):,}", note)


def _performance_fact(scores: Performance | None) -> Iterator[Fact]:
    if scores is not None:
        which = f"; {count(scores.n, 'image')} not trained on" if scores.held_out else ""
        note = f"guessing gives {fixed(scores.chance)}; 95 % interval{which}"
        yield Fact("Balanced accuracy", rate(scores.balanced_accuracy), note)


def _grade_facts(sources: RunSources) -> Iterator[Fact]:
    """Say how far predicted grades are from the true ones, where that was evaluated."""
    table = sources.table("performance")
    if not sources.run.ordered or table is None:
        return
    chances = {
        "quadratic_kappa": "guessing gives {}",
        "grade_mae": "the median grade for all gives {}",
    }
    for metric, chance in chances.items():
        rows = table[(table["metric"] == metric) & (table["domain"] == "all")]
        if len(rows):
            row = rows.iloc[0]
            value = with_interval(float(row["value"]), float(row["low"]), float(row["high"]))
            note = f"{chance.format(fixed(float(row['chance'])))}; 95 % interval; {row['split']}"
            name = METRICS[metric]
            yield Fact(f"{name[:1].upper()}{name[1:]}", value, note)


def _value_fact(sources: RunSources) -> Iterator[Fact]:
    """Say how near a model's values are to the reference, where that was evaluated."""
    table = sources.table("performance")
    if not sources.run.of_value or table is None:
        return
    row = table[(table["metric"] == "mae") & (table["domain"] == "all")].iloc[0]
    value = with_interval(float(row["value"]), float(row["low"]), float(row["high"]))
    note = f"the reference's median for all gives {fixed(float(row['chance']))}; 95 % interval"
    yield Fact("Mean absolute error", value, note)


def _attribution_fact(tables: Tables) -> Iterator[Fact]:
    if tables.alignment is None or not tables.sources.run.methods:
        return
    method = tables.sources.run.methods[0]
    above, _ = tables.apart_from_chance(method)
    if len(above):
        top = above.iloc[0]
        note = f"{method_name(method)}: lift {lift(top)}{chance_of(top)}"
        yield Fact("Highest attribution", readable(str(top["feature"])), note)
    else:
        alpha = tables.sources.alpha
        note = f"no lift of {method_name(method)} is above chance (adjusted p < {alpha:g})"
        yield Fact("Highest attribution", "none significant", note)


def _used_fact(tables: Tables) -> Iterator[Fact]:
    if tables.usage is None:
        return
    tested = features(tables.usage[tables.usage["p_adjusted"].notna()])
    used = features(used_rows(tables.usage))
    controls = tables.usage[tables.usage["kind"] == "control"]["feature"].nunique()
    passed = controls - used_rows(tables.usage, controls=True)["feature"].nunique()
    note = f"adjusted p < {tables.sources.alpha:g}"
    if controls:
        note += f"; {passed} of {controls} controls unused, as they should be"
    yield Fact("Features used", f"{len(used)} of {len(tested)}", note)


def _changes_fact(tables: Tables) -> Iterator[Fact]:
    """Count the artifacts that change decisions: what a reader should look at first."""
    table = tables.verdicts
    if table is None:
        return
    of_value = tables.sources.run.of_value
    rows = table[table["verdict"] == (MOVES if of_value else CHANGES)]
    names = [readable(str(f)) for f in rows["feature"]]
    edited = int(table["intervention_p"].notna().sum())
    if not edited:
        return
    none = "none moves it more than its control" if of_value else "none flips more than its control"
    which = listed(names[:4], len(names)) if names else none
    yield Fact(
        "Change the value" if of_value else "Change decisions",
        f"{len(rows)} of {edited}",
        f"features that were edited: {which}",
    )
