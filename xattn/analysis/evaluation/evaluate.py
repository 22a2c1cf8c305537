"""`evaluate`: predictions of the images that had no part in the training, and how good they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xattn.analysis.evaluation.choice import UNKNOWN, choose, domains_of, wanted_splits
from xattn.analysis.evaluation.measure import measure_question
from xattn.analysis.evaluation.over_outputs import means_over_outputs, sentences_over_outputs
from xattn.analysis.question import joined, questions_of, record_of, require_no_positive
from xattn.analysis.settings import EvaluateInputs, EvaluateSettings
from xattn.annotations.findings import label_of
from xattn.attribution.run.pipeline import run_explain
from xattn.attribution.run.provenance import describe_loading
from xattn.attribution.run.settings import ExplainSettings
from xattn.errors import RunError
from xattn.models.interface import Model
from xattn.paths import as_paths
from xattn.runs.calls import record_call
from xattn.runs.depth import lost_depth
from xattn.runs.folder import DEFAULT_RUN, RunFolder
from xattn.runs.guard import writes
from xattn.runs.parquet import write_parquet
from xattn.runs.precision_words import precision_in_words
from xattn.runs.record import begin_record, end_record
from xattn.runs.tables import tables_of_record
from xattn.settings import names
from xattn.settings.precision import Precision
from xattn.splits.membership import Membership, membership

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class Evaluation:
    """How good a model is.

    Attributes:
        run: the run folder with predictions, performance.csv and reliability.csv.
        performance: one row per split, domain, metric and class.
        reliability: accuracy against confidence, one row per split and bin.
        sentences: the main results in words.
        notes: what must be known to read them.
        trap: how much of the loss on ood is due to artifacts; None if it was not asked for.
        confusion: which class is taken for which, one row per split, label and predicted class.
        positive: class that was held against the rest, "" if each stands for itself.
    """

    run: RunFolder
    performance: pd.DataFrame
    reliability: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    trap: pd.DataFrame | None = None
    confusion: pd.DataFrame = field(default_factory=pd.DataFrame)
    positive: str = ""

    def __repr__(self) -> str:
        return f"<xattn.Evaluation in {self.run.path}: {len(self.performance)} rows of performance>"


@writes("out", "xattn evaluate")
def evaluate(
    model: Model,
    annotations: Annotations | str | Path,
    out: str | Path = DEFAULT_RUN,
    *,
    images: str | Path | Iterable[str | Path] | None = None,
    splits: str | Path | None = None,
    split: Sequence[str] | None = EvaluateSettings.split,
    domain: str | None = EvaluateSettings.domain,
    trap: str | Sequence[str] = EvaluateSettings.trap,
    positive: str | Sequence[str] | None = EvaluateSettings.positive,
    bootstrap: int = EvaluateSettings.bootstrap,
    seed: int = EvaluateSettings.seed,
    batch_size: int = EvaluateSettings.batch_size,
    precision: Precision | None = EvaluateSettings.precision,
    workers: int | None = EvaluateSettings.workers,
    settings: EvaluateSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Predict labelled images and say how good the predictions are, in and out of
    distribution.

    Evaluated are the images that the checkpoint's own splits.csv calls test and ood, and never
    those it was trained on. Where no splits are known, or none of the images is in them, all are
    evaluated and a note says so. Predictions go into a run folder as those of `explain` do; a
    call that was stopped goes on where it was, and a run of the same checkpoint with maps is
    taken as it is. Independent outputs are each a question of their own, is it there or not: a
    column `target` of all tables says which output a row is of, and means over the outputs
    stand among the sentences and in evaluation.json.

    Args:
        model: from `xattn.load`.
        annotations: labels, groups and files.
        out: the run folder.
        images: where the files are instead, by id; others are left out.
        splits: a splits.csv instead of the one beside the checkpoint.
        split: which splits, of val, test and ood; default test and ood.
        domain: feature of the annotation file whose values are evaluated one by one; default the
            domains of splits.csv.
        trap: artifacts that go against the label in ood; writes trap.csv, see
            `trap_of_predictions`. "all" for every artifact.
        positive: of two classes the one whose ranking is told, default the last; of more the one,
            or those taken together, to hold against the rest, default each by itself.
        bootstrap: replicates behind each interval; whole groups are drawn.
        seed: same seed, same tables.
        batch_size: images per forward pass.
        precision: of the model, as for `explain`; default that of the run that is there.
        workers: threads for decoding.
        settings: `split` and those after it as a whole, instead of one by one.
        progress: called with (images done, images in all).

    Returns:
        The tables, and the main results in sentences. Metrics are in [0, 1], the log loss in nats;
        each has a 95 % interval and its level of chance.

    Raises:
        UsageError: a split or the domain is unknown, an argument is out of range, or a positive
            class is named of independent outputs.
        XattnError: no labelled image is left to evaluate, or splits cannot be read.
        RunError: `out` holds a run of another checkpoint, or not one image could be done.

    Examples:
        >>> result = xattn.evaluate(xattn.load("model.pt"), "isic_attributes.json", "evaluated")
        >>> result.performance.columns[:5].tolist()
        ['split', 'domain', 'metric', 'class', 'n']
    """
    asked = EvaluateSettings.of(
        settings, split=split, domain=domain, trap=trap, positive=positive, bootstrap=bootstrap,
        seed=seed, batch_size=batch_size, precision=precision, workers=workers,
    )  # fmt: skip
    named = None if asked.split is None else names(asked.split)
    traps, seed = names(asked.trap), asked.seed
    wanted = wanted_splits(named)
    known = _read(annotations)
    positive, exclusive = names(asked.positive), model.outputs.exclusive
    require_no_positive(model.classes, positive, exclusive=exclusive)
    sources = None if images is None else as_paths(images, "images", "; write it to a file first")
    member = membership(model.source, splits)
    chosen, of_split, notes = choose(known, sources, model, member, wanted, asked=named is not None)
    domains = domains_of(chosen, member, asked.domain)
    notes += [model.outputs_note] if model.outputs_note else []

    base = Path(out).absolute().parent
    inputs = EvaluateInputs(annotations=known.path, images=sources, splits=splits)
    loading = describe_loading(model, base)
    call = record_call("evaluate", base, loading, inputs=inputs, settings=asked)
    how = ExplainSettings(
        methods=[],
        target=_stored(Path(out)).get("target") or ("predicted" if exclusive else "all"),
        overlay=None,
        exact=None,
        precision=asked.precision,
        batch_size=asked.batch_size,
        workers=asked.workers,
    )
    run = run_explain(model, None, chosen, Path(out), how, call=call, progress=progress)
    _write_predictions(run, _with_facts(run.predictions, known, of_split, member, domains, model))
    run = RunFolder.open(run.path)
    questions = questions_of(run, positive)
    found = [measure_question(q, of_split, known, asked) for q in questions]
    unread = len(chosen.images) - int(run.predictions["image_id"].isin(list(of_split)).sum())
    if unread:
        notes.append(f"{unread} images could not be read or predicted, see errors.csv")
    notes += [lost] if (lost := lost_depth(run.predictions)) else []
    if run.settings.get("precision", "32") != "32":
        notes.append(f"Predictions were computed in {precision_in_words(run.settings)}")
    begin_record(run.path / "evaluation.json", call)
    for name in tables_of_record("evaluation.json"):
        (run.path / f"{name}.csv").unlink(missing_ok=True)
    tables = joined([(q, one.tables) for q, one in zip(questions, found, strict=True)])
    for name, table in tables.items():
        run.write_table(name, table)
    for question, one in zip(questions, found, strict=True):
        notes += question.called(one.notes)
    sentences = tuple(
        line
        for question, one in zip(questions, found, strict=True)
        for line in question.called(one.sentences)
    )
    means: list[dict[str, Any]] = []
    if not run.exclusive and not run.of_value and len(run.classes) > 1:
        means = means_over_outputs(run, of_split, bootstrap=asked.bootstrap, seed=seed)
        sentences += sentences_over_outputs(means)
    facts = {
        "schema": "xattn-evaluation/1",
        "outputs": model.outputs.kind,
        "splits": None if member.file is None else member.file.name,
        **record_of([(q, one.facts) for q, one in zip(questions, found, strict=True)]),
        "domain": asked.domain,
        "trap": traps,
        "bootstrap": asked.bootstrap,
        "seed": seed,
        "annotations": known.path.name,
        "sentences": list(sentences),
        **({"over_outputs": means} if means else {}),
        "notes": notes,
        "call": call,
    }
    end_record(run.path / "evaluation.json", facts, [f"{name}.csv" for name in tables])
    spoken = questions[0].positive
    against = spoken.name if run.exclusive and spoken.against_rest else ""
    return Evaluation(
        run, tables["performance"], tables["reliability"], sentences, tuple(notes),
        tables.get("trap"), tables["confusion"], against,
    )  # fmt: skip


def _read(annotations: Annotations | str | Path) -> Annotations:
    if not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)


def _stored(out: Path) -> dict[str, Any]:
    """Return the settings of a run that is there already."""
    try:
        return RunFolder.open(out).settings
    except RunError:
        return {}


def _with_facts(
    table: pd.DataFrame,
    known: Annotations,
    of_split: Mapping[str, str],
    member: Membership,
    domains: Mapping[str, str],
    model: Model,
) -> pd.DataFrame:
    """Add split, domain and group; "" where one is not known, and no group for the lone."""
    ids = table["image_id"]
    images = known.by_id
    split = [of_split.get(i) or str(member.splits.get(i, "")) for i in ids]
    own = table["label"].where(table["label"].notna(), None)
    how = {"exclusive": model.outputs.exclusive, "values": model.outputs.of_value}
    told = [
        label_of(images[i], model.classes, known.labels, **how) if i in images else None
        for i in ids
    ]
    labels = [was if new is None else new for new, was in zip(told, own, strict=True)]
    groups = [images[i].group if i in images else None for i in ids]
    return table.assign(
        label=pd.Series(labels, index=table.index, dtype=object),
        split=["" if name == UNKNOWN else name for name in split],
        domain=[domains.get(i, "") for i in ids],
        group=pd.Series(groups, index=table.index, dtype=object),
    )


def _write_predictions(run: RunFolder, table: pd.DataFrame) -> None:
    write_parquet(table, run.path / "predictions.parquet")
