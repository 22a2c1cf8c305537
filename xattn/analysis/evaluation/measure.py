"""How well one question is answered: its tables, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from xattn.analysis.evaluation.choice import UNKNOWN
from xattn.analysis.evaluation.sentences import performance_sentences
from xattn.analysis.evaluation.table import (
    confusion_table,
    performance_table,
    reliability_table,
)
from xattn.analysis.evaluation.trap_sentences import trap_sentences
from xattn.analysis.evaluation.trap_sides import trap_of_predictions
from xattn.analysis.evaluation.values import value_sentences, value_table
from xattn.analysis.groups.bias import FEWEST_IMAGES
from xattn.analysis.question import Question
from xattn.analysis.settings import EvaluateSettings
from xattn.errors import UsageError
from xattn.runs import TABLES
from xattn.settings import names

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class Answered:
    """How well a question is answered.

    Attributes:
        tables: by name; without rows where no label is known.
        sentences: the main results in words.
        notes: what must be known to read them.
        facts: what evaluation.json says of it.
    """

    tables: dict[str, pd.DataFrame]
    sentences: tuple[str, ...]
    notes: list[str]
    facts: dict[str, Any]


def measure_question(
    question: Question,
    of_split: Mapping[str, str],
    known: Annotations,
    asked: EvaluateSettings,
) -> Answered:
    """Measure how well one question is answered.

    Args:
        question: of a run whose predictions have their labels, groups and domains.
        of_split: split of the images to evaluate, by id.
        known: the annotations, for trap sets.
        asked: settings of the evaluation.
    """
    if question.run.of_value:
        return _values(question, of_split, asked)
    run, spoken, traps = question.run, question.positive, names(asked.trap)
    table = run.predictions
    table = table[table["image_id"].isin(list(of_split))]
    scored = table[table["label"].isin(run.classes)]
    scored = scored.assign(split=scored["image_id"].map(of_split))
    scored = scored.sort_values("split", key=lambda s: s.map(_order), kind="stable")
    facts = {
        "evaluated": scored["split"].value_counts().to_dict(),
        "positive": spoken.name or None,
        "against": "" if spoken.each else spoken.sides[1 - spoken.side],
    }
    notes = []
    if question.output and (unknown := len(table) - len(scored)):
        notes.append(f"Of {unknown} images it is not known whether they show it: left out")
    if not len(scored):
        nothing = {name: pd.DataFrame() for name in ("performance", "confusion", "reliability")}
        return Answered(nothing, (), notes, facts)
    drawing: dict[str, Any] = {"bootstrap": asked.bootstrap, "seed": asked.seed}
    tables = {
        "performance": performance_table(
            scored, run.classes, positive=spoken, ordered=run.ordered, **drawing
        ),
        "confusion": confusion_table(scored, run.classes, positive=spoken, **drawing),
        "reliability": reliability_table(scored, run.classes, positive=spoken, **drawing),
    }
    sentences = performance_sentences(tables["performance"])
    if spoken.sentence:
        sentences = (f"{spoken.sentence}.", *sentences)
    if traps:
        trap = trap_of_predictions(scored, known, traps, run.classes, **drawing)
        tables["trap"], sentences = trap, (*sentences, *trap_sentences(trap))
    return Answered(tables, sentences, notes + _few(tables["confusion"]), facts)


def _values(question: Question, of_split: Mapping[str, str], asked: EvaluateSettings) -> Answered:
    """Measure how near the values of one output are to the reference."""
    run, output = question.run, question.output
    if asked.trap:
        raise UsageError("Expected classes for --trap, but the outputs are values")
    table = run.predictions
    table = table[table["image_id"].isin(list(of_split))]
    scored = table[table["truth"].notna()]
    scored = scored.assign(split=scored["image_id"].map(of_split))
    scored = scored.sort_values("split", key=lambda s: s.map(_order), kind="stable")
    unknown = len(table) - len(scored)
    notes = [f"Of {unknown} images the value is not known: left out"] if unknown else []
    tables = {name: pd.DataFrame(columns=list(TABLES[name].always))
              for name in ("performance", "confusion", "reliability")}  # fmt: skip
    sentences: tuple[str, ...] = ()
    if len(scored):
        drawing: dict[str, Any] = {"bootstrap": asked.bootstrap, "seed": asked.seed}
        tables["performance"] = value_table(scored, output, **drawing)
        sentences = tuple(value_sentences(tables["performance"], output))
    facts = {"evaluated": scored["split"].value_counts().to_dict()}
    return Answered(tables, sentences, notes, facts)


def _few(confusion: pd.DataFrame) -> list[str]:
    """Say of each split which classes have no images, and which too few to rest a number on."""
    found = []
    sizes = confusion.drop_duplicates(["split", "label"])
    for split, own in sizes.groupby("split", sort=False):
        none = [str(c) for c in own.loc[own["images"] == 0, "label"]]
        few = own[(own["images"] > 0) & (own["images"] < FEWEST_IMAGES)]
        where = "" if split == UNKNOWN else f" in {split}"
        if none and len(none) < len(own) - 1:
            found.append(f"No images of {', '.join(none)}{where}: means are over the other classes")
        if len(few):
            named = ", ".join(
                f"{c} ({n})" for c, n in zip(few["label"], few["images"], strict=True)
            )
            found.append(
                f"Fewer than {FEWEST_IMAGES} images of {named}{where}: their rates hang on single "
                "images, and means over classes with them; one in very few groups has no interval"
            )
    return found


def _order(name: str) -> int:
    return {"val": 0, "test": 1, "ood": 2}.get(name, 3)
