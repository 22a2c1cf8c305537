"""Which features a model uses: the analysis behind `xattn feature-usage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xattn.analysis.alignment.agreement import agreement_table
from xattn.analysis.alignment.mask_scores import per_image_table, score_masks
from xattn.analysis.alignment.table import alignment_table
from xattn.analysis.dependence.decisions import find_decision
from xattn.analysis.dependence.table import measured_columns, usage_table
from xattn.analysis.exclusive import require_exclusive
from xattn.analysis.groups.bias import bias_table
from xattn.analysis.groups.cohorts import cohorts
from xattn.analysis.groups.fairness import fairness_table
from xattn.analysis.notes import counts, missing_notes
from xattn.analysis.notes import notes as find_notes
from xattn.analysis.positive import Positive
from xattn.analysis.scored import Labelled, decision_scores, labelled
from xattn.analysis.settings import UsageInputs, UsageSettings
from xattn.analysis.stages import Clock, Steps
from xattn.analysis.usage_result import FeatureUsage
from xattn.analysis.verdicts import SMALLEST_CHANGE, SMALLEST_EFFECT, verdict_table
from xattn.errors import XattnError
from xattn.features.feature_set import FeatureSet, collect_features
from xattn.features.from_csv import read_more_features
from xattn.features.masks import Progress
from xattn.runs import TABLES, RunFolder
from xattn.runs.atomic import replacing
from xattn.runs.calls import record_call
from xattn.runs.guard import writes
from xattn.runs.record import begin_record, end_record, file_sha256, predictions_sha256
from xattn.runs.tables import tables_of_record
from xattn.settings import names

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
    decision: str = UsageSettings.decision,
    cross_check: bool = UsageSettings.cross_check,
    interventions: int = UsageSettings.interventions,
    model: Model | None = None,
    computed: bool = UsageSettings.computed,
    detect: bool = UsageSettings.detect,
    more_features: str | Path | None = UsageSettings.more_features,
    exclude: str | Sequence[str] = UsageSettings.exclude,
    domain: str | None = UsageSettings.domain,
    workers: int | None = UsageSettings.workers,
    settings: UsageSettings | None = None,
    progress: Progress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> FeatureUsage:
    """Measure which annotated features the model of a run uses, and how.

    Writes into the run folder alignment.csv, feature_usage.csv, interventions.csv, bias.csv,
    fairness.csv, agreement.csv and verdicts.csv (what their columns mean: docs/feature-usage.md),
    features.parquet and masks.zarr (see `features`), mask_scores.parquet (the scores of every
    image) and analysis.json (settings, counts, problems, notes, timings). A second call replaces
    them.

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
        decision: how the statistics of the dependence test decide, see `usage_test`.
        cross_check: add causal-learn's KCI to the dependence tests.
        interventions: images edited for each row of interventions.csv, drawn at random; 0 for no
            interventions.
        model: the one that made the run; default loaded from the checkpoint that the run names.
        computed: measure shape, border, colour and skin tone from images and lesion masks.
        detect: look for hair, rulers and other artifacts by image processing.
        more_features: CSV of further features: image_id, and a column each.
        exclude: features to leave out. Columns that keep the books of the data set (ids, splits,
            files, dates, how the diagnosis was made, the label in other words) are recognised and
            left out too, with a note; "none" keeps them.
        domain: kind of images, in place of the annotation file's: a name of
            `xattn.images.domains.DOMAINS`. Computed features and detectors of others are left out.
        workers: threads that read masks, measure and edit; default two.
        settings: all of these but `model` as a whole, instead of one by one.
        progress: called as progress(done, total).
        on_note: called with each remark on what could not be done.

    Returns:
        The tables, as they are on disk, and the notes.

    Raises:
        AnnotationError: run and annotations share no image id, or a label is no class of the run.
        RunError: there is no finished run.
        UsageError: an argument is out of range, `positive` is no class of the run, or the outputs
            are independent.

    Examples:
        >>> usage = xattn.feature_usage(
        ...     "xattn-run", "isic_attributes.json", permutations=19, interventions=0
        ... )
        >>> list(usage.verdicts.columns)[:2]
        ['feature', 'kind']
    """
    chosen = UsageSettings.of(
        settings, permutations=permutations, bootstrap=bootstrap, alpha=alpha, seed=seed,
        positive=positive, decision=decision, cross_check=cross_check,
        interventions=interventions, computed=computed, detect=detect,
        more_features=more_features, exclude=exclude, domain=domain, workers=workers,
    )  # fmt: skip
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    require_exclusive(folder, "`xattn feature-usage`")
    decided = find_decision(chosen.decision)
    spoken = Positive.of(folder.classes, names(chosen.positive))
    known = _read(annotations)
    own, threads = chosen.more_features, _threads(chosen.workers)
    more = None if own is None else read_more_features(own)
    n, clock = len(folder.predictions), Clock()
    steps = Steps(progress, 3 * n)
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
            before_writing=lambda: begin_record(folder.path / "analysis.json"),
        )
    with clock("mask_scores"):
        maps = {method: folder.maps(method) for method in folder.methods}
        cells = {method: folder.cells(method) for method in folder.methods}
        scored = score_masks(maps, cells, features, steps.part(n))
    with clock("alignment"):
        tables = {"alignment": alignment_table(scored, features, folder.classes, **chosen.testing)}
    with clock("feature_usage"):
        battery = {"decision": decided.name, "cross_check": chosen.cross_check}
        tables["feature_usage"] = _usage(folder, features, spoken, {**chosen.testing, **battery})
    with clock("interventions"):
        edited, unable = _interventions(folder, features, model, spoken, chosen, threads)
        tables |= edited
    known_labels = labelled(folder, features.table["label"], spoken)
    for name, make in (("bias", bias_table), ("fairness", fairness_table)):
        with clock(name):
            tables[name] = _apart(make, features, known_labels, chosen)
    with clock("agreement"):
        known_as = features.table["label"], features.table["group"]
        tables["agreement"] = agreement_table(maps, cells, *known_as, **chosen.drawing)
    with clock("verdicts"):
        sides = (tables[name] for name in ("feature_usage", "interventions", "alignment"))
        tables["verdicts"] = verdict_table(*sides, alpha=chosen.alpha)
    drawn = {name: table.attrs.get("permutations", 0) for name, table in tables.items()}
    adjusted = tables["feature_usage"].attrs.get("adjusted")
    tables = {name: presentable(table, name) for name, table in tables.items()}
    for name, table in tables.items():
        folder.write_table(name, table)
    for name in set(tables_of_record("analysis.json")).difference(tables):  # of another question
        (folder.path / f"{name}.csv").unlink(missing_ok=True)
    with replacing(folder.path / "mask_scores.parquet") as part:
        per_image_table(scored, features).to_parquet(part, index=False)
    notes = find_notes(folder, features) + missing_notes(tables["feature_usage"]) + unable
    notes += known_labels.notes() if len(tables["bias"]) else []
    notes += more.notes(folder.predictions["image_id"].tolist()) if more else []
    facts = {
        "schema": "xattn-analysis/1",
        **chosen.testing,
        **battery,
        "tests": decided.tests,
        "usage_adjusted": adjusted,
        "permutations_drawn": drawn,
        "intervention_images": chosen.interventions,
        "smallest_change": SMALLEST_CHANGE,
        "smallest_effect": SMALLEST_EFFECT,
        "positive": spoken.name or None,
        "against": "" if spoken.each else spoken.sides[1 - spoken.side],
        "annotations": str(known.path),
        "annotations_sha256": file_sha256(known.path),
        "cells_spread_evenly": folder.spread_evenly,
        "predictions_sha256": predictions_sha256(folder.predictions),
        "counts": counts(features),
        "left_out": features.left_out,
        "notes": notes,
        "problems": [vars(problem) for problem in features.problems],
        "timings": clock.seconds,
        "call": _call(folder, known, model, chosen),
    }
    files = ["features.parquet", "features.json", "mask_scores.parquet"]
    end_record(folder.path / "analysis.json", facts, [f"{name}.csv" for name in tables] + files)
    if on_note is not None:
        for note in notes:
            on_note(note)
    usage = tables.pop("feature_usage")
    return FeatureUsage(
        folder, usage=usage, positive=spoken.name, sentence=spoken.sentence, settings=chosen,
        notes=tuple(notes), **tables,
    )  # fmt: skip


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


def _usage(
    run: RunFolder, features: FeatureSet, positive: Positive, settings: dict[str, Any]
) -> pd.DataFrame:
    columns = measured_columns(features)
    if not columns or not features.labelled:
        return pd.DataFrame()
    label, group = features.table["label"], features.table["group"]
    return usage_table(columns, decision_scores(run, positive), label, group, **settings)


def _interventions(
    run: RunFolder,
    features: FeatureSet,
    model: Model | None,
    positive: Positive,
    settings: UsageSettings,
    workers: int,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return interventions.csv and, where every class stands for itself, the same class by class;
    and a note if there are none although they were asked for."""
    by_class = positive.each and len(run.classes) > 2
    wanted = ["interventions", *(["interventions_by_class"] if by_class else [])]
    nothing = dict.fromkeys(wanted, pd.DataFrame())
    if not settings.interventions or not features.masked:
        return nothing, []
    from xattn.analysis.interventions.table import measure_interventions
    from xattn.attribution.run.provenance import model_of_run

    try:
        model = model or model_of_run(run)
    except XattnError as err:
        return nothing, [f"No interventions: {err}"]
    found = measure_interventions(
        run, features, model, positive=positive, images=settings.interventions, workers=workers,
        **settings.drawing,
    )  # fmt: skip
    return dict(zip(wanted, (found.table, found.by_class), strict=False)), []


def _apart(
    make: Callable[..., pd.DataFrame],
    features: FeatureSet,
    known: Labelled,
    settings: UsageSettings,
) -> pd.DataFrame:
    """Return bias.csv or fairness.csv: artifacts and groups of patients, compared."""
    if not len(known.rows):
        return pd.DataFrame()
    columns = [column.of(known.rows) for column in cohorts(features)]
    return make(
        columns, known.outcomes, features.table["group"].iloc[known.rows], **settings.testing
    )


def _read(annotations: Annotations | str | Path) -> Annotations:
    if not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)


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
