"""What a training puts into its folder, beside its history and predictions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xattn.errors import RunError
from xattn.models import save_checkpoint
from xattn.runs.atomic import write_text
from xattn.runs.record import file_sha256
from xattn.splits.balance import ALIKE_CSV
from xattn.splits.samples import SPLITS, Split
from xattn.splits.splits import write_splits
from xattn.stats.weighted_metrics import Scores
from xattn.training.history import Epoch
from xattn.training.init_weights import Start
from xattn.training.inputs import Inputs
from xattn.training.material import Material
from xattn.training.recipe import Recipe
from xattn.training.record import SCHEMA, relative, text_sha256, write_errors
from xattn.training.result import TrainResult
from xattn.training.resume import Bookmark


def about_inputs(recipe: Recipe, inputs: Inputs, folder: Path) -> dict[str, Any]:
    """Return what train.json says of a training's inputs."""
    material = inputs.material
    return {
        "schema": SCHEMA,
        "recipe": recipe.to_record(),
        "annotations": relative(inputs.annotations.path, folder.parent),
        "annotations_sha256": file_sha256(inputs.annotations.path),
        "classes": material.classes,
        "splits": material.describe(),
        "splits_sha256": text_sha256(_splits_csv(material)),
        "notes": material.notes,
        "skipped": len(inputs.skipped),
    }


def about_result(result: TrainResult) -> dict[str, Any]:
    """Return what train.json says of its result."""
    scores: Mapping[Split, Scores] = result.scores
    return {
        "checkpoint": result.checkpoint.name,
        "checkpoint_sha256": file_sha256(result.checkpoint),
        "epochs": len(result.history),
        "best_epoch": result.best.epoch,
        "best": asdict(result.best),
        **{split: scores[split].to_row() if split in scores else None for split in SPLITS[1:]},
    }


def save_epoch(
    path: Path,
    start: Start,
    recipe: Recipe,
    material: Material,
    epoch: Epoch,
) -> None:
    """Write the checkpoint of one epoch; what it was trained on stands in it."""
    save_checkpoint(
        path,
        start.network,
        architecture=recipe.model.architecture,
        options=recipe.model.options,
        classes=material.classes,
        preprocessing=recipe.preprocessing,
        extra={
            "recipe": recipe.to_record(),
            "head": start.head,
            "splits": material.describe(),
            "splits_sha256": text_sha256(_splits_csv(material)),
            "unlike": list(material.alike.unlike),
            "best": asdict(epoch),
        },
    )


def write_inputs(folder: Path, recipe: Recipe, inputs: Inputs, *, fresh: bool) -> None:
    """Put down what the training starts from."""
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:  # remove what is of a training that was given up here
        for stale in ("model.pt", "history.csv"):
            (folder / stale).unlink(missing_ok=True)
        for stale in ("logs", "checkpoints"):
            shutil.rmtree(folder / stale, ignore_errors=True)
    write_text(folder / "recipe.toml", recipe.to_toml())
    write_errors(folder, inputs.skipped)
    write_text(folder / "splits.csv", _splits_csv(inputs.material))
    write_text(folder / ALIKE_CSV, inputs.material.alike.to_csv())


def _splits_csv(material: Material) -> str:
    return write_splits(material.splits, material.domains)


def vacant(folder: Path) -> Path:
    """Return a folder that holds no finished training.

    Raises:
        RunError: it does, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"Expected a folder for the training, but got the file {folder}")
    if (folder / "train.json").exists():
        Bookmark(folder).clear()  # killed in between, it was left behind
        raise RunError(
            f"Expected no finished training in {folder}, but got its train.json"
            "; name another folder with --out"
        )
    return folder
