"""Which features a model uses: the analysis behind `xattn feature-usage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.analysis.alignment.mask_scores import per_image_tables, score_masks
from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.concepts.stage import concept_layer
from xattn.analysis.dependence.decisions import find_decision
from xattn.analysis.dependence.given.effect import SMALLEST_PARTIAL
from xattn.analysis.dependence.given.table import held_fixed
from xattn.analysis.dependence.table import measured_columns
from xattn.analysis.interventions.stage import expected, interventions_of
from xattn.analysis.measure import all_notes, record, sentence_of, strata_of
from xattn.analysis.on_ray import Measuring, measure_all
from xattn.analysis.over_outputs import note_over_outputs
from xattn.analysis.question import Question, joined, questions_of
from xattn.analysis.settings import UsageInputs, UsageSettings
from xattn.analysis.stages import Clock, Steps
from xattn.analysis.usage_result import FeatureUsage
from xattn.analysis.verdicts.rules import SMALLEST_CHANGE, SMALLEST_EFFECT
from xattn.attribution.run.settings import Accelerate
from xattn.cluster.connect import require_ray
from xattn.errors import UsageError
from xattn.features.feature_set import collect_features
from xattn.features.from_csv import read_more_features
from xattn.features.masks import Progress
from xattn.runs import RunFolder
from xattn.runs.calls import record_call
from xattn.runs.guard import writes
from xattn.runs.parquet import write_in_parts
from xattn.runs.record import begin_record, end_record, file_sha256, predictions_sha256
from xattn.runs.tables import tables_of_record
from xattn.settings import names
from xattn.settings.cluster import RaySettings
from xattn.settings.precision import Precision

if TYPE_CHECKING:
    from xattn.annotations.records import Annotations
    from xattn.models.interface import Model


@writes("run", "xattn feature-usage")
def feature_usage(
    run: RunFolder | str | Path,
    annotations: Annotations | str | Path,
    *,
    permutations: int = UsageSettings.permutations,
    bootstrap: int = UsageSettings.bootstrap,
    alpha: float = UsageSettings.alpha,
    seed: int = UsageSettings.seed,
    positive: str | Sequence[str] | None = UsageSettings.positive,
    target: str | Sequence[str] = UsageSettings.target,
    decision: str = UsageSettings.decision,
    given: str | Sequence[str] = UsageSettings.given,
    learner: str = UsageSettings.learner,
    label_column: str | None = UsageSettings.label_column,
    cross_check: bool = UsageSettings.cross_check,
    interventions: int = UsageSettings.interventions,
    concepts: bool = UsageSettings.concepts,
    model: Model | None = None,
    computed: bool = UsageSettings.computed,
    detect: bool = UsageSettings.detect,
    more_features: str | Path | None = UsageSettings.more_features,
    exclude: str | Sequence[str] = UsageSettings.exclude,
    domain: str | None = UsageSettings.domain,
    accelerate: Accelerate = UsageSettings.accelerate,
    precision: Precision | None = UsageSettings.precision,
    workers: int | None = UsageSettings.workers,
    settings: UsageSettings | None = None,
    engine: RaySettings | None = None,
    progress: Progress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> FeatureUsage:
    """Measure which annotated features the model of a run uses, and how.

    Writes into the run folder alignment.csv, feature_usage.csv, interventions.csv, doses.csv,
    concepts.csv, bias.csv, fairness.csv, agreement.csv and verdicts.csv (what their columns mean:
    docs/feature-usage.md), features.parquet and masks.zarr (see `features`), mask_scores.parquet
    (the scores of every image) and analysis.json (settings, counts, problems, notes, timings).
    A second call replaces them.

    Args:
        run: a finished run folder.
        annotations: an annotation file, or what `read_annotations` made of it.
        permutations: behind each p-value; a table so long that this could never reach `alpha`
            after adjustment gets more.
        bootstrap: replicates behind each interval.
        alpha: level of `used` and of the adjusted p-values.
        seed: same seed, same tables.
        positive: class that the score, tpr and fpr refer to; of more than two classes the one, or
            those taken together, that are held against the rest. Default the last of two, and of
            more each by itself.
        target: where outputs are independent those to test, each as a question of its own (is it
            there, or not?); default all. A column `target` of all tables says which a row is of.
        decision: how the statistics of the dependence test decide, see `usage_test`.
        given: what is held fixed beside the label when it is asked what a feature tells beyond
            others: "others" for all other features, "none" for no such test, or names.
        learner: what the residuals of that test are taken from: "boosting" (trees after ridge
            regression) or "ridge".
        label_column: a feature of the annotation file to hold fixed beside the label, such as the
            diagnosis where the classes are coarser.
        cross_check: add causal-learn's KCI to the dependence tests.
        interventions: images edited for each row of interventions.csv, drawn at random, and at
            most 50 of them for doses.csv; 0 for no interventions.
        concepts: find what the network holds of each yes/no feature at its explained layer, which
            runs it once more over all images with a label.
        model: the one that made the run; default loaded from the checkpoint that the run names.
        computed: measure shape, border, colour and skin tone from images and lesion masks.
        detect: look for hair, rulers and other artifacts by image processing.
        more_features: CSV of further features: image_id, and a column each.
        exclude: features to leave out. Columns that keep the books of the data set (ids, splits,
            files, dates, how the diagnosis was made, the label in other words) are recognised and
            left out too, with a note; "none" keeps them.
        domain: kind of images, in place of the annotation file's: a name of
            `xattn.images.domains.DOMAINS`. Computed features and detectors of others are left out.
        accelerate: engine of the model's layers where edits and concepts ask it again, as for
            `explain`.
        precision: of these layers, as for `explain`; default that of the run.
        workers: threads that read masks, measure and edit; default two.
        settings: all of these but `model` as a whole, instead of one by one.
        engine: whether images are edited and the model asked of them, and several independent
            outputs tested, here or by the workers of a Ray cluster; the tables are the same.
        progress: called as progress(done, total).
        on_note: called with each remark on what could not be done.

    Returns:
        The tables, as they are on disk, and the notes.

    Raises:
        AnnotationError: run and annotations share no image id, or a label is no class of the run.
        RunError: there is no finished run, or the cluster cannot be reached.
        UsageError: an argument is out of range, `positive` is no class of the run, or `target`
            none of its independent outputs, there is no feature to hold fixed of a name, or Ray is
            not installed.

    Examples:
        >>> usage = xattn.feature_usage(
        ...     "xattn-run", "isic_attributes.json", permutations=19, interventions=0
        ... )
        >>> list(usage.verdicts.columns)[:2]
        ['feature', 'kind']
    """
    chosen = UsageSettings.of(
        settings, permutations=permutations, bootstrap=bootstrap, alpha=alpha, seed=seed,
        positive=positive, target=target, decision=decision, given=given, learner=learner,
        label_column=label_column, cross_check=cross_check,
        interventions=interventions, concepts=concepts, computed=computed, detect=detect,
        more_features=more_features, exclude=exclude, domain=domain, accelerate=accelerate,
        precision=precision, workers=workers,
    )  # fmt: skip
    on_ray = engine if engine is not None and engine.engine == "ray" else None
    if on_ray is not None:
        require_ray()
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    questions = questions_of(folder, names(chosen.positive), names(chosen.target))
    dropped = _no_more(folder, questions)
    decided = find_decision(chosen.decision)
    known = _read(annotations)
    own, threads = chosen.more_features, _threads(chosen.workers)
    more = None if own is None else read_more_features(own)
    n, clock, call = len(folder.predictions), Clock(), _call(folder, known, model, chosen)
    steps = Steps(progress, (4 if chosen.concepts else 3) * n)
    with clock("features"):
        features = collect_features(
            folder,
            known,
            steps.part(n),
            threads,
            computed=chosen.computed,
            detected=chosen.detect,
            domain=chosen.domain,
            more=more,
            exclude=names(chosen.exclude),
            on_image=steps.part(n),
            before_writing=lambda: begin_record(folder.path / "analysis.json", call),
        )
    # What is refused is refused before the long part.
    strata_of(features, chosen.label_column)
    for name in names(chosen.given):
        if name in features.left_out:
            raise UsageError(
                f"Expected features to hold fixed, but got {name!r}, left out of all tests "
                f"({features.left_out[name]}); --exclude none keeps such columns, and "
                f"--label-column {name} holds it fixed as a finer label"
            )
    held_fixed(measured_columns(features), names(chosen.given))
    with clock("mask_scores"):
        maps = {method: folder.map_array(method) for method in _stored(questions)}
        cells = {method: folder.cells(method) for method in maps}
        scored = score_masks(maps, cells, features, steps.part(n))
    asked = AskedAgain(
        folder, model, accelerate=chosen.accelerate, precision=chosen.precision,
        images=expected(features, chosen, n),
    )  # fmt: skip
    with clock("interventions"):
        edited, unable = interventions_of(features, asked, questions, chosen, threads, on_ray)
    with clock("activations"):
        ran = steps.part(n) if chosen.concepts else None
        layer, unseen = concept_layer(folder, features, asked, questions, chosen, threads, ran)
        if ran is not None:  # also where fewer images were looked at
            ran(n, n)
    measuring = Measuring(questions, edited, features, scored, maps, layer, chosen)
    found = measure_all(measuring, clock, on_ray)
    tables = joined([(one.question, one.tables) for one in found])
    for name, table in tables.items():
        folder.write_table(name, table)
    for name in set(tables_of_record("analysis.json")).difference(tables):  # of another question
        (folder.path / f"{name}.csv").unlink(missing_ok=True)
    scores = sum(len(one.rows) for method in scored for one in method.features.values())
    parts = per_image_tables(scored, features)
    write_in_parts(parts, scores, folder.path / "mask_scores.parquet")
    notes = all_notes(found, [*unable, *unseen])
    if dropped:
        notes.append(
            f"Measured by an earlier call, and no more in the tables: {', '.join(dropped)}; a call "
            "without --target measures every output"
        )
    if questions[0].output:
        drawn = min(one.drawn["feature_usage"] for one in found)
        together = tables["feature_usage"], len(questions), chosen.alpha, drawn
        notes += [said] if (said := note_over_outputs(*together)) else []
    notes += more.notes(folder.predictions["image_id"].tolist()) if more else []
    facts = {
        "schema": "xattn-analysis/1",
        **chosen.testing,
        "decision": decided.name,
        "cross_check": chosen.cross_check,
        "tests": decided.tests,
        "given": list(names(chosen.given)),
        "learner": chosen.learner,
        "label_column": chosen.label_column,
        "smallest_partial": SMALLEST_PARTIAL,
        "intervention_images": chosen.interventions,
        "engine": asked.engine,
        "precision": asked.precision,
        "concept_layer": None if layer is None else layer.name,
        "smallest_change": SMALLEST_CHANGE,
        "smallest_effect": SMALLEST_EFFECT,
        **record(found, features),
        "annotations": str(known.path),
        "annotations_sha256": file_sha256(known.path),
        "cells_spread_evenly": folder.spread_evenly,
        "predictions_sha256": predictions_sha256(folder.predictions),
        "notes": notes,
        "problems": [vars(problem) for problem in features.problems],
        "timings": clock.seconds,
        "call": call,
    }
    files = ["features.parquet", "features.json", "mask_scores.parquet"]
    end_record(folder.path / "analysis.json", facts, [f"{name}.csv" for name in tables] + files)
    if on_note is not None:
        for note in notes:
            on_note(note)
    usage = tables.pop("feature_usage")
    return FeatureUsage(
        folder, usage=usage, positive=questions[0].positive.name if folder.exclusive else "",
        sentence=sentence_of(questions), settings=chosen, notes=tuple(notes), **tables,
    )  # fmt: skip


def _no_more(run: RunFolder, questions: Sequence[Question]) -> list[str]:
    """Name the outputs that an earlier call measured and this one does not."""
    if not questions[0].output or not run.has_table("verdicts"):
        return []
    earlier = run.table("verdicts")
    now = {question.output for question in questions}
    return [name for name in dict.fromkeys(earlier.get("target", ())) if name not in now]


def _stored(questions: Sequence[Question]) -> list[str]:
    """Name the stored maps of all questions, each once, in the order of the run."""
    return list(dict.fromkeys(q.run.stored(m) for q in questions for m in q.run.methods))


def _call(
    run: RunFolder, known: Annotations, model: Model | None, settings: UsageSettings
) -> dict[str, Any]:
    """Return the record of a call; a model that the run itself leads to is not told."""
    base = run.path.absolute().parent
    inputs = UsageInputs(annotations=known.path)
    loading = None
    if model is not None:
        from xattn.attribution.run.provenance import describe_loading

        loading = describe_loading(model, base)
    return record_call("feature-usage", base, loading, inputs=inputs, settings=settings)


def _threads(workers: int | None) -> int:
    return 2 if workers is None else max(1, workers)


def _read(annotations: Annotations | str | Path) -> Annotations:
    if not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)
