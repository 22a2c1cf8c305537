"""A run folder after the analysis, made by hand: plausible tables, masks and settings."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from tests.analysis.known.made import known_rows
from tests.analysis.trained import fabricate_study
from tests.fabricate import fabricate_run
from tests.figures.made_tables import (
    agreement_table,
    alignment_table,
    bias_table,
    concepts_table,
    doses_table,
    fairness_table,
    interventions_table,
    trap_of_rulers,
    usage_table,
)
from xattn.analysis.comparison.compare import compare
from xattn.analysis.evaluation.table import (
    confusion_table,
    performance_table,
    reliability_table,
)
from xattn.analysis.known.rates import rates_of, with_truth
from xattn.analysis.verdicts.table import verdict_table
from xattn.figures.folders import KnownFolder
from xattn.runs import ComparisonFolder, RunFolder, TableFolder

FEATURES = {
    "pigment_network": "structure",
    "streaks": "structure",
    "patches": "artifact",
    "ruler": "artifact",
}
ANALYSIS = {"annotations": "isic_attributes.json", "alpha": 0.05, "permutations": 999, "seed": 0}


def made_once(make: Callable[..., RunFolder]) -> Callable[..., RunFolder]:
    """Let a function of a folder make each run once; who asks for it again gets a copy."""
    kept: dict[str, Path] = {}

    @wraps(make)
    def copied(root: Path, *args: object, **options: object) -> RunFolder:
        asked = repr((args, sorted(options.items())))
        if asked not in kept:
            run = make(_kept_runs() / f"{make.__name__}-{len(kept)}", *args, **options)
            kept[asked] = run.path.parent
        shutil.copytree(kept[asked], root, dirs_exist_ok=True)
        return RunFolder.open(root / "run")

    return copied


@cache
def _kept_runs() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return folder


@made_once
def populated_run(
    root: Path,
    n: int = 24,
    methods: tuple[str, ...] = ("gradcam", "attention"),
    labels: bool = True,
    seed: int = 0,
    classes: tuple[str, ...] = ("benign", "malignant"),
    features: dict[str, str] = FEATURES,
) -> RunFolder:
    """Write a run of n images with maps, masks of `features` and all tables."""
    run = explained_run(root, n, methods, labels, seed, classes)
    rng = np.random.default_rng(seed)
    masks = {name: block_masks(rng, n) for name in [*features, "lesion"]}
    write_masks(run, masks, {**features, "lesion": "structure"})
    write_tables(run, features, methods, rng)
    return run


@made_once
def complete_run(root: Path, **options: object) -> RunFolder:
    """Write a populated run with every other table too, and the scores of every image."""
    run = populated_run(root, **options)
    features = options.get("features", FEATURES)
    edits, alignment = interventions_table(features), run.table("alignment")
    over = alignment["lift"] / alignment["chance_lift"]
    usage = run.table("feature_usage").assign(rank_effect_error=0.02)
    verdicts = verdict_table(usage, edits, alignment.assign(lift_over_chance=over))
    run.write_table("interventions", edits)
    run.write_table("concepts", concepts_table(features))
    run.write_table("doses", doses_table(features))
    run.write_table("verdicts", verdicts)
    run.write_table("agreement", agreement_table(run.methods))
    run.write_table("fairness", fairness_table(features))
    run.write_table("trap", trap_of_rulers())
    scores(run).to_parquet(run.path / "mask_scores.parquet", index=False)
    return run


def explained_run(
    root: Path,
    n: int = 24,
    methods: tuple[str, ...] = ("gradcam", "attention"),
    labels: bool = True,
    seed: int = 0,
    classes: tuple[str, ...] = ("benign", "malignant"),
) -> RunFolder:
    """Write a run as `xattn explain` leaves it: no masks, no tables."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(classes))).astype(np.float32)
    maps = {m: rng.normal(0.3, 1, (n, 4, 4)).astype(np.float32) for m in methods}
    names = [classes[i % len(classes)] for i in range(n)] if labels else None
    return fabricate_run(root, logits, maps, names, classes, seed=seed)


def block_masks(rng: np.random.Generator, n: int, size: int = 32) -> np.ndarray:
    """Return n masks of one rectangle each, a third of them empty: bool (n, size, size)."""
    masks = np.zeros((n, size, size), bool)
    for mask in masks:
        if rng.random() < 2 / 3:
            top, left = rng.integers(0, size - 8, 2)
            mask[top : top + 8, left : left + 8] = True
    return masks


def write_masks(
    run: RunFolder, masks: dict[str, np.ndarray], kinds: dict[str, str] | None = None
) -> None:
    """Write masks.zarr, features.parquet and features.json, as the analysis does."""
    group = zarr.create_group(run.path / "masks.zarr", overwrite=True)
    table = run.predictions[["image_id", "label"]].assign(group=run.predictions["image_id"])
    kinds = {name: FEATURES.get(name, "structure") for name in masks} if kinds is None else kinds
    for name, stack in masks.items():
        array = group.create_array(name, shape=stack.shape, dtype="bool", chunks=stack.shape)
        array[:] = stack
        area = stack.mean((1, 2))
        table = table.assign(**{name: area > 0, f"{name}.area": area, f"{name}.masked": True})
    table.to_parquet(run.path / "features.parquet", index=False)
    facts = {"kinds": kinds, "masked": list(masks), "annotated": len(table)}
    (run.path / "features.json").write_text(json.dumps(facts))


def write_tables(
    run: RunFolder, features: dict[str, str], methods: tuple[str, ...], rng: np.random.Generator
) -> None:
    """Write the four tables and analysis.json with made-up but coherent numbers."""
    run.write_table("alignment", alignment_table(features, methods, [*run.classes, "all"], rng))
    run.write_table("feature_usage", usage_table({**features, "control-noise": "control"}, rng))
    run.write_table("bias", bias_table([f for f, k in features.items() if k == "artifact"], rng))
    (run.path / "analysis.json").write_text(json.dumps(ANALYSIS))
    if run.predictions["label"].notna().all():
        split = np.where(np.arange(len(run.predictions)) % 3, "test", "ood")
        said = run.predictions.assign(split=split, domain="", group=None)
        run.write_table("performance", performance_table(said, run.classes, bootstrap=99))
        run.write_table("reliability", reliability_table(said, run.classes, bootstrap=99))
        run.write_table("confusion", confusion_table(said, run.classes, bootstrap=99))


def scores(run: RunFolder) -> pd.DataFrame:
    """Return mask_scores.parquet: the lift of every map on every mask that is not empty."""
    table = pd.read_parquet(run.path / "features.parquet")
    areas = [c for c in table if c.endswith(".area")]
    parts = []
    for number, method in enumerate(run.methods):
        for column in areas:
            shown = table[table[column] > 0][["image_id", "label"]]
            lift = 0.5 + number + np.arange(len(shown)) / 4
            name = column.removesuffix(".area")
            parts.append(shown.assign(method=method, feature=name, lift=lift))
    return pd.concat(parts, ignore_index=True)


MODELS = {
    "resnet18": 1.0,
    "resnet18-ga": 1.3,
    "vit_tiny_patch16_224": 0.9,
    "swin_tiny_patch4_window7_224": 1.1,
}


def populated_comparison(root: Path, **options: object) -> ComparisonFolder:
    """Write a comparison of four models with three seeds each."""
    runs = fabricate_study(root / "trained", MODELS, (0, 1, 2), sizes={"test": 80, "ood": 80})
    return compare(runs, root / "comparison", **options).folder


def populated_answers(root: Path) -> KnownFolder:
    """Write the tables of networks of known answers, of two halves."""
    folder = KnownFolder(root)
    folder.path.mkdir(parents=True, exist_ok=True)
    rows = with_truth(known_rows(24))
    folder.write_table("known", rows)
    folder.write_table("known_answers", rates_of(rows))
    return folder


def populated_course(
    root: Path, steps: int = 6, features: dict[str, str] = FEATURES
) -> TableFolder:
    """Write usage_over_training.csv: artifacts come to be used, structures do not."""
    rng = np.random.default_rng(0)
    folder = TableFolder(root / "course")
    folder.path.mkdir(parents=True)
    kinds = {**features, "control-noise": "control", "control-label-noise": "control"}
    parts = []
    for step in range(1, steps + 1):
        part = usage_table(kinds, rng).assign(step=step, checkpoint=f"epoch_{step:04d}.pt")
        artifact = part["kind"] == "artifact"
        part["effect_bits"] = np.where(artifact, 0.02 * step, 0.004 * rng.normal(size=len(part)))
        part["p_adjusted"] = np.where(artifact & (step > 2), 0.001, 0.7)
        part["effect_low"], part["effect_high"] = (
            part["effect_bits"] - 0.01,
            part["effect_bits"] + 0.01,
        )
        parts.append(part)
    folder.write_table("usage_over_training", pd.concat(parts, ignore_index=True))
    (folder.path / "usage_over_training.json").write_text(json.dumps({"alpha": 0.05}))
    return folder
