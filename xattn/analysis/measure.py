"""One question of a run, measured: tables, notes, and what the record says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from xattn.analysis.alignment.agreement import agreement_table
from xattn.analysis.alignment.coarse import coarse_notes
from xattn.analysis.alignment.mask_scores import ScoredMethod
from xattn.analysis.alignment.read_maps import Maps
from xattn.analysis.alignment.table import alignment_table
from xattn.analysis.concepts.pooled import PooledLayer
from xattn.analysis.concepts.stage import concepts
from xattn.analysis.dependence.decisions import find_decision
from xattn.analysis.dependence.given.table import OTHERS
from xattn.analysis.dependence.table import measured_columns, usage_table
from xattn.analysis.groups.bias import bias_table
from xattn.analysis.groups.cohorts import cohorts
from xattn.analysis.groups.fairness import fairness_table
from xattn.analysis.interventions.table import Interventions
from xattn.analysis.label_auc import LabelAuc, label_auc
from xattn.analysis.notes import counts, given_notes, missing_notes
from xattn.analysis.notes import notes as find_notes
from xattn.analysis.question import Question, record_of
from xattn.analysis.scored import Labelled, decision_scores, labelled
from xattn.analysis.settings import UsageSettings
from xattn.analysis.stages import Clock
from xattn.analysis.verdicts.table import verdict_table
from xattn.annotations.value_labels import strata
from xattn.errors import UsageError, near
from xattn.features.feature_set import FeatureSet
from xattn.runs import TABLES, RunFolder
from xattn.settings import names


@dataclass(frozen=True)
class MeasuredUsage:
    """What was found for one question.

    Attributes:
        question: which.
        tables: by name.
        counts: images, labels and masks behind them.
        notes: what could not be measured, and what must be known to read them.
        drawn: permutations behind the p-values of each table.
        adjusted: whose method adjusted the dependence tests.
        label_auc: how well the scores tell the labels; None where that cannot be said.
    """

    question: Question
    tables: dict[str, pd.DataFrame]
    counts: dict[str, Any]
    notes: list[str]
    drawn: dict[str, int]
    adjusted: str | None
    label_auc: LabelAuc | None

    @property
    def facts(self) -> dict[str, Any]:
        """What analysis.json says of it."""
        spoken = self.question.positive
        return {
            "usage_adjusted": self.adjusted,
            "permutations_drawn": self.drawn,
            "positive": spoken.name or None,
            "against": "" if spoken.each else spoken.sides[1 - spoken.side],
            "counts": self.counts,
            "label_auc": None if self.label_auc is None else self.label_auc.to_record(),
        }


def measure(
    question: Question,
    features: FeatureSet,
    scored: Sequence[ScoredMethod],
    maps: Mapping[str, Maps],
    edited: Interventions | None,
    layer: PooledLayer | None,
    settings: UsageSettings,
    clock: Clock,
) -> MeasuredUsage:
    """Make the tables of one question.

    Args:
        question: the run, or one output of it, and the positive classes.
        features: with the labels of the question.
        scored: all stored maps against all masks, see `score_masks`.
        maps: all stored maps, by the name under which they are stored.
        edited: what edits did; None where nothing was edited.
        layer: activations of the run's images; None where they were not looked at.
        settings: of the analysis.
        clock: takes the times.
    """
    run, spoken = question.run, question.positive
    tables: dict[str, pd.DataFrame] = {}
    with clock("alignment"):
        own = _own(run, scored)
        labels = run.classes or _strata(features)
        tables["alignment"] = alignment_table(own, features, labels, **settings.testing)
    with clock("feature_usage"):
        tables["feature_usage"] = _usage(question, features, settings)
    tables |= _edits(question, edited)
    with clock("concepts"):
        tables["concepts"] = concepts(layer, features, question, settings)
    known = None if run.of_value else labelled(run, features.table["label"], spoken)
    for name, make in (("bias", bias_table), ("fairness", fairness_table)):
        with clock(name):
            tables[name] = _apart(make, features, known, settings)
    with clock("agreement"):
        shown = {method: maps[run.stored(method)] for method in run.methods}
        cells = {method: run.cells(method) for method in run.methods}
        known_as = features.table["label"], features.table["group"]
        tables["agreement"] = agreement_table(shown, cells, *known_as, **settings.drawing)
    with clock("verdicts"):
        held = names(settings.given) == [OTHERS]
        tables["verdicts"] = verdict_table(
            tables["feature_usage"],
            tables["interventions"],
            tables["alignment"],
            tables.get("doses"),
            alpha=settings.alpha,
            decides=not run.of_value,
            all_held=held,
        )
    drawn = {name: table.attrs.get("permutations", 0) for name, table in tables.items()}
    adjusted = tables["feature_usage"].attrs.get("adjusted")
    tables = {name: presentable(table, name) for name, table in tables.items()}
    group = None if known is None else features.table["group"].iloc[known.rows]
    told = label_auc(known, group, settings.bootstrap, settings.seed)
    notes = [told.note] if told is not None and told.note else []
    notes += find_notes(run, features) + missing_notes(tables["feature_usage"])
    notes += given_notes(features, tables["feature_usage"], settings)
    notes += coarse_notes(tables["alignment"])
    notes += known.notes() if known is not None and len(tables["bias"]) else []
    return MeasuredUsage(question, tables, counts(features), notes, drawn, adjusted, told)


def record(found: Sequence[MeasuredUsage], features: FeatureSet) -> dict[str, Any]:
    """Return what analysis.json says of the questions.

    Args:
        found: of each question.
        features: of the run.
    """
    if not found[0].question.output:
        return {**found[0].facts, "left_out": features.left_out}
    of_each = [
        (one.question, {
            **one.facts,
            "left_out": features.of(one.question.run).left_out,
            "notes": one.notes,
        })
        for one in found
    ]  # fmt: skip
    whole = {"images": len(features.table), "annotated": features.annotated}
    return {"counts": whole, "left_out": features.left_out, **record_of(of_each)}


def all_notes(found: Sequence[MeasuredUsage], unable: Sequence[str]) -> list[str]:
    """Return the notes of all questions; those of single outputs are called after them.

    Args:
        found: of each question.
        unable: notes on what no question could be asked.
    """
    shared = [note for note in found[0].notes if all(note in one.notes for one in found)]
    own = [
        line
        for one in found
        for line in one.question.called(note for note in one.notes if note not in shared)
    ]
    return [*shared, *own, *unable]


def sentence_of(questions: Sequence[Question]) -> str:
    """Say what is told from what, where that changes every number; else "".

    Args:
        questions: all that were asked.
    """
    if not questions[0].output:
        return questions[0].positive.sentence
    named = ", ".join(question.output for question in questions)
    if questions[0].run.of_value:
        return f"Values, in their own units and of no class: {named}"
    return f"Independent outputs, each a question of its own, there or not: {named}"


def _strata(features: FeatureSet) -> list[str]:
    """Return the strata of the value that a question is about, from the lowest."""
    whole = replace(features, output="").table["label"]
    return list(strata(whole, features.output).ordered)


def _own(run: RunFolder, scored: Sequence[ScoredMethod]) -> list[ScoredMethod]:
    """Return the scores of a question's maps, and of the control."""
    if not run.of_output:
        return list(scored)
    by_name = {one.name: one for one in scored}
    stored = {run.stored(method): method for method in run.methods}
    control = [one for one in scored if one is scored[-1]]
    return [
        replace(by_name[name], name=plain) for name, plain in stored.items() if scored
    ] + control


def _usage(question: Question, features: FeatureSet, settings: UsageSettings) -> pd.DataFrame:
    columns = measured_columns(features)
    if not columns or not features.labelled:
        return pd.DataFrame()
    label, group = strata_of(features, settings.label_column), features.table["group"]
    scores = decision_scores(question.run, question.positive)
    return usage_table(
        columns, scores, label, group, decision=find_decision(settings.decision).name,
        cross_check=settings.cross_check, given=names(settings.given), learner=settings.learner,
        **settings.testing,
    )  # fmt: skip


def strata_of(features: FeatureSet, column: str | None) -> pd.Series[Any]:
    """Return what is held fixed: the label, or within it what another column says.

    Args:
        features: of the run.
        column: name of a column of the annotation file; None for the label alone.

    Returns:
        (n,) texts; missing where the label or the column is.

    Raises:
        UsageError: there is no such column.
    """
    label = features.table["label"]
    if column is None:
        return label
    own = ("image_id", "label", "group")
    known = [str(c) for c in features.table if c not in own and "." not in str(c)]
    if column not in known:
        raise UsageError(
            f"Expected a feature of the annotation file to hold fixed, but got {column!r}"
            f"{near(column, known)}"
        )
    finer = features.table[column]
    if not (label.notna() & finer.notna()).any():
        raise UsageError(f"Expected images with a label and a value of {column!r}, but got none")
    return (label.astype(str) + " / " + finer.astype(str)).where(label.notna() & finer.notna())


def _edits(question: Question, edited: Interventions | None) -> dict[str, pd.DataFrame]:
    """Return interventions.csv, doses.csv and, where every class stands for itself, the first
    by class."""
    by_class = question.positive.each and len(question.run.classes) > 2
    wanted = ["interventions", "doses", *(["interventions_by_class"] if by_class else [])]
    if edited is None:
        return dict.fromkeys(wanted, pd.DataFrame())
    return dict(zip(wanted, (edited.table, edited.doses, edited.by_class), strict=False))


def _apart(
    make: Callable[..., pd.DataFrame],
    features: FeatureSet,
    known: Labelled | None,
    settings: UsageSettings,
) -> pd.DataFrame:
    """Return bias.csv or fairness.csv: artifacts and groups of patients, compared by rates."""
    if known is None or not len(known.rows):
        return pd.DataFrame()
    columns = [column.of(known.rows) for column in cohorts(features)]
    return make(
        columns, known.outcomes, features.table["group"].iloc[known.rows], **settings.testing
    )


def presentable(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Put the promised columns first, and keep six digits: more are noise of the machine.

    A table without rows has all columns that one with rows has, whatever was measured.
    """
    if table.empty:
        return pd.DataFrame(columns=list(TABLES[name].always))
    promised = list(TABLES[name].promised)
    table = table[[*promised, *(c for c in table.columns if c not in promised)]].copy()
    for column in [c for c in table if pd.api.types.is_float_dtype(table[c])]:
        table[column] = [float(f"{value:.6g}") for value in table[column]]
    table.attrs = {}
    return table
