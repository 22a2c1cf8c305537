"""Usage over training: the dependence test of every feature, checkpoint by checkpoint.

features ──────────────┐             The features of the images do not change, nor do their
   │  label            │             labels: they are collected once, and all checkpoints are
   │    ├─────┐        │             tested against the same permutations, so that differences
   ▼    ▼     ▼        ▼             between steps are the models' alone.
step 1 ── step 2 ── step 3 ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xattn.analysis.dependence.decisions import find_decision
from xattn.analysis.dependence.table import measured_columns, usage_table
from xattn.analysis.measure import presentable
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question, questions_of
from xattn.analysis.scored import decision_scores
from xattn.analysis.settings import OverTrainingSettings
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.provenance import describe_loading
from xattn.attribution.run.settings import ExplainInputs
from xattn.errors import UsageError, XattnError
from xattn.features.feature_set import FeatureSet, collect_features
from xattn.features.from_csv import read_more_features
from xattn.features.masks import Progress
from xattn.models import load as load_checkpoint
from xattn.paths import as_paths, relative_to
from xattn.runs import RunFolder, TableFolder
from xattn.runs.calls import record_call
from xattn.runs.guard import writes
from xattn.runs.record import begin_record, end_record, file_sha256
from xattn.settings import names

if TYPE_CHECKING:
    from xattn.annotations.records import Annotations
    from xattn.models.interface import Model

TABLE = "usage_over_training"


@dataclass(frozen=True)
class Step:
    """One checkpoint of a training.

    Attributes:
        number: the epoch that stands in the checkpoint, or its place among those given, from 1.
        path: the file.
        sha256: of its bytes.
    """

    number: int
    path: Path
    sha256: str


@writes("out", "xattn feature-usage")
def usage_over_training(
    checkpoints: Sequence[str | Path],
    annotations: Annotations | str | Path,
    out: str | Path,
    *,
    images: str | Path | Iterable[str | Path] | None = None,
    methods: str | Sequence[str] = OverTrainingSettings.methods,
    permutations: int = OverTrainingSettings.permutations,
    bootstrap: int = OverTrainingSettings.bootstrap,
    alpha: float = OverTrainingSettings.alpha,
    seed: int = OverTrainingSettings.seed,
    positive: str | Sequence[str] | None = OverTrainingSettings.positive,
    target: str | Sequence[str] = OverTrainingSettings.target,
    decision: str = OverTrainingSettings.decision,
    computed: bool = OverTrainingSettings.computed,
    detect: bool = OverTrainingSettings.detect,
    more_features: str | Path | None = OverTrainingSettings.more_features,
    exclude: str | Sequence[str] = OverTrainingSettings.exclude,
    domain: str | None = OverTrainingSettings.domain,
    load: Callable[[Path], Model] | None = None,
    batch_size: int = OverTrainingSettings.batch_size,
    workers: int | None = OverTrainingSettings.workers,
    settings: OverTrainingSettings | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Test which features a model uses at each of several checkpoints of its training.

    Writes a run folder per checkpoint into OUT/steps/<step>, OUT/usage_over_training.csv (one row
    per step, feature and test) and OUT/usage_over_training.json (settings and checkpoints). A
    call that was stopped goes on with its predictions where it was.

    Args:
        checkpoints: files, or folders that stand for the `.pt` files in them. Steps are numbered
            by the epochs that stand in them if all do, else in the order given.
        annotations: an annotation file, or one that was read.
        out: the folder; may be a run folder.
        images: as for `explain`; default the images of `annotations`.
        methods: maps to make of every step; none by default, the test needs predictions alone.
        permutations: behind each p-value, as for `feature_usage`.
        bootstrap: replicates behind each interval.
        alpha: level of `used` and of the adjusted p-values.
        seed: same seed, same table.
        positive: class, or classes, held against the rest, as for `feature_usage`.
        target: where outputs are independent the one to test.
        decision: how the statistics of the dependence test decide, see `usage_test`.
        computed: measure shape, border, colour and skin tone, as for `feature_usage`.
        detect: look for hair, rulers and other artifacts by image processing.
        more_features: CSV of further features: image_id, and a column each.
        exclude: features to leave out, as for `feature_usage`.
        domain: kind of images, as for `feature_usage`.
        load: how a file becomes a model; default `xattn.load`.
        batch_size: images per forward pass.
        workers: threads for decoding.
        settings: all of these but `images` and `load` as a whole, instead of one by one.
        progress: called with (images done, images in all), over all steps.

    Returns:
        The table: one row per step, feature and test, with the columns of feature_usage.csv.

    Raises:
        UsageError: fewer than two checkpoints, two of one epoch, or an argument out of range.
        XattnError: the checkpoints differ in classes or preprocessing, not all images could be
            read at every step, or nothing is labelled.

    Examples:
        >>> table = xattn.usage_over_training(
        ...     ["trained/checkpoints"], "isic_attributes.json", "course"
        ... )  # doctest: +SKIP
        >>> table.groupby("step")["used"].sum()  # doctest: +SKIP
    """
    chosen = OverTrainingSettings.of(
        settings, methods=methods, permutations=permutations, bootstrap=bootstrap, alpha=alpha,
        seed=seed, positive=positive, target=target, decision=decision, computed=computed,
        detect=detect, more_features=more_features, exclude=exclude, domain=domain,
        batch_size=batch_size, workers=workers,
    )  # fmt: skip
    find_decision(chosen.decision)  # refused before the first checkpoint is explained
    out, load = Path(out), load or load_checkpoint
    known = _read(annotations)
    sources = None if images is None else as_paths(images, "images", "; write it to a file first")
    steps, classes, loading = _steps(_files(checkpoints), load, out.absolute().parent)
    Positive.of(classes, names(chosen.positive))  # as the rest of the arguments
    own = chosen.more_features
    features: FeatureSet | None = None
    first: RunFolder | None = None
    parts = []
    for place, step in enumerate(steps):
        run = explain(
            load(step.path),
            sources,
            methods=names(chosen.methods),
            out=out / "steps" / f"{step.number:04d}",
            annotations=known,
            overlay="none",
            batch_size=chosen.batch_size,
            workers=chosen.workers,
            progress=_part(progress, place, len(steps)),
        )
        if features is None or first is None:
            first = run
            asked = _one_question(run, chosen)
            features = collect_features(
                run,
                known,
                workers=chosen.workers or 2,
                computed=chosen.computed,
                detected=chosen.detect,
                domain=chosen.domain,
                more=None if own is None else read_more_features(own),
                exclude=names(chosen.exclude),
            )
            features = features.of(asked.run)
            if not features.labelled:
                raise XattnError(f"Expected images with a label in {known.path}, but none has one")
        _require_same(first, run)
        here = replace(asked, run=replace(asked.run, path=run.path))
        parts.append(_table(here, features, step, chosen))
    table = presentable(pd.concat(parts, ignore_index=True), TABLE)
    inputs = ExplainInputs(images=sources, annotations=known.path)
    base = out.absolute().parent
    call = record_call("feature-usage", base, loading, inputs=inputs, settings=chosen)
    begin_record(out / f"{TABLE}.json", call)
    TableFolder(out).write_table(TABLE, table)
    told = {"decision": chosen.decision, "positive": asked.positive.name or None}
    told |= {"target": asked.output} if asked.output else {}
    _write_facts(out, steps, known, {**chosen.testing, **told, "call": call})
    return table


def _one_question(run: RunFolder, settings: OverTrainingSettings) -> Question:
    """Return what the run of a step is asked; of independent outputs it is one."""
    found = questions_of(run, names(settings.positive), names(settings.target))
    if len(found) > 1:
        raise UsageError(
            "Expected one of the independent outputs to follow over a training, but got "
            f"{', '.join(one.output for one in found)}; name one with --target"
        )
    return found[0]


def _files(checkpoints: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, checkpoints):
        inside = sorted(path.glob("*.pt")) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"Expected checkpoints in {path}, but it holds no .pt file")
        found += inside
    if len(found) < 2:
        raise UsageError(f"Expected two checkpoints or more, but got {len(found)}")
    return found


def _steps(
    files: Sequence[Path], load: Callable[[Path], Model], base: Path
) -> tuple[list[Step], tuple[str, ...], dict[str, Any]]:
    """Number the checkpoints, and make sure that they can be compared.

    Returns:
        The steps in order, their classes, and how they were loaded, files named from `base`.
    """
    models = [_facts(load(file), base) for file in files]
    for file, facts in zip(files[1:], models[1:], strict=True):
        for what in ("classes", "preprocessing"):
            if facts[what] != models[0][what]:
                raise XattnError(
                    f"Expected checkpoints of one training, but {files[0]} and {file} differ in "
                    f"{what}: {models[0][what]} and {facts[what]}"
                )
    epochs = [facts["epoch"] for facts in models]
    numbers = epochs if None not in epochs else range(1, 1 + len(files))
    number, times = Counter(numbers).most_common(1)[0]
    if times > 1:
        same = [str(f) for f, n in zip(files, numbers, strict=True) if n == number]
        raise UsageError(f"Expected one checkpoint per epoch, but {' and '.join(same)} are both "
                         f"of epoch {number}; leave one out")  # fmt: skip
    steps = [
        Step(int(n), file, facts["sha256"])
        for n, file, facts in zip(numbers, files, models, strict=True)
    ]
    loading = {**models[0]["loading"], "checkpoint": [relative_to(file, base) for file in files]}
    return sorted(steps, key=lambda step: step.number), tuple(models[0]["classes"]), loading


def _facts(model: Model, base: Path) -> dict[str, Any]:
    best = model.source.get("extra", {}).get("best") or {}
    return {
        "classes": list(model.classes),
        "preprocessing": model.preprocessing.to_dict(),
        "epoch": best.get("epoch"),
        "sha256": model.source.get("sha256", ""),
        "loading": describe_loading(model, base),
    }


def _require_same(first: RunFolder, run: RunFolder) -> None:
    ours, theirs = (list(r.predictions["image_id"]) for r in (first, run))
    if ours != theirs:
        raise XattnError(
            f"Expected the same images at every step, but {first.path} has {len(ours)} and "
            f"{run.path} {len(theirs)}, or others; delete the steps folder to begin anew"
        )


def _table(
    question: Question,
    features: FeatureSet,
    step: Step,
    settings: OverTrainingSettings,
) -> pd.DataFrame:
    found = usage_table(
        measured_columns(features),
        decision_scores(question.run, question.positive),
        features.table["label"],
        features.table["group"],
        decision=settings.decision,
        **settings.testing,
    )
    return found.assign(step=step.number, checkpoint=step.path.name)


def _part(progress: Progress | None, place: int, steps: int) -> Progress | None:
    if progress is None:
        return None
    report = progress
    return lambda done, total: report(place * total + done, steps * total)


def _read(annotations: Annotations | str | Path) -> Annotations:
    if not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)


def _write_facts(
    out: Path, steps: Sequence[Step], known: Annotations, settings: dict[str, Any]
) -> None:
    facts = {
        "schema": "xattn-over-training/1",
        **settings,
        "annotations": known.path.name,
        "annotations_sha256": file_sha256(known.path),
        "steps": [
            {"step": s.number, "checkpoint": s.path.name, "checkpoint_sha256": s.sha256}
            for s in steps
        ],
    }
    end_record(out / f"{TABLE}.json", facts, [f"{TABLE}.csv"])
