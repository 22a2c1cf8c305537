"""What a training puts into its folder, beside its history and predictions."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xattn.errors import RunError
from xattn.models import save_checkpoint
from xattn.paths import relative_to
from xattn.runs.atomic import write_text
from xattn.runs.csv_text import csv_text
from xattn.runs.record import file_sha256, text_sha256
from xattn.runs.tables.errors import ERRORS
from xattn.splits.balance import ALIKE_CSV
from xattn.splits.samples import SPLITS, Failure, Split
from xattn.splits.splits import write_splits
from xattn.stats.weighted_metrics import Scores
from xattn.training.dataset import Dataset
from xattn.training.history import Epoch
from xattn.training.init_weights import Start
from xattn.training.recipe import Recipe
from xattn.training.result import TrainResult
from xattn.training.resume import Bookmark

SCHEMA = "xattn-training/1"

PACKAGES = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow")
"""What a training depends on: their versions stand in its record."""


def about_dataset(recipe: Recipe, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Return what train.json says of the recipe and the data set."""
    return {
        "schema": SCHEMA,
        "recipe": recipe.to_record(),
        "annotations": relative_to(dataset.annotations, folder.parent),
        "annotations_sha256": file_sha256(dataset.annotations),
        "classes": dataset.classes,
        **({} if dataset.exclusive else {"outputs": "sigmoid"}),
        "splits": dataset.describe(),
        "splits_sha256": text_sha256(_splits_csv(dataset)),
        "notes": dataset.notes,
        "skipped": len(dataset.skipped),
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
    dataset: Dataset,
    epoch: Epoch,
) -> None:
    """Write the checkpoint of one epoch; what it was trained on stands in it."""
    save_checkpoint(
        path,
        start.network,
        architecture=recipe.model.architecture,
        options=recipe.model.options,
        classes=dataset.classes,
        preprocessing=recipe.preprocessing,
        outputs="softmax" if dataset.exclusive else "sigmoid",
        extra={
            "recipe": recipe.to_record(),
            "head": start.head,
            "splits": dataset.describe(),
            "splits_sha256": text_sha256(_splits_csv(dataset)),
            "unlike": list(dataset.balance.unlike),
            "best": asdict(epoch),
        },
    )


def write_inputs(folder: Path, recipe: Recipe, dataset: Dataset, *, fresh: bool) -> None:
    """Write what the training starts from: recipe, errors and splits."""
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:  # remove what is of a training that was given up here
        for stale in ("model.pt", "history.csv"):
            (folder / stale).unlink(missing_ok=True)
        for stale in ("logs", "checkpoints"):
            shutil.rmtree(folder / stale, ignore_errors=True)
    write_text(folder / "recipe.toml", recipe.to_toml())
    write_text(folder / "errors.csv", _errors_csv(dataset.skipped, folder.parent))
    write_text(folder / "splits.csv", _splits_csv(dataset))
    write_text(folder / ALIKE_CSV, dataset.balance.to_csv())


def _errors_csv(failures: Iterable[Failure], base: Path) -> str:
    """Return the table of failures; files are named relative to `base`."""
    rows = ((relative_to(one.file, base), one.stage, one.error) for one in failures)
    return csv_text([ERRORS.promised, *rows])


def _splits_csv(dataset: Dataset) -> str:
    return write_splits(dataset.splits, dataset.domains)


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
