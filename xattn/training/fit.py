"""`train`: from a recipe and an annotation file to a checkpoint and its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn

from xattn.errors import RunError
from xattn.models import save_checkpoint
from xattn.models.device import resolve_device
from xattn.training.data import Progress
from xattn.training.history import Epoch, Keeper
from xattn.training.material import Images, Material, choose, prepare
from xattn.training.module import Classifier
from xattn.training.progress import Reporter, bar
from xattn.training.quiet import isolated_chance, quiet_library
from xattn.training.recipe import Recipe, read_recipe
from xattn.training.record import (
    SCHEMA,
    file_sha256,
    relative,
    versions,
    write_errors,
    write_json,
    write_text,
)
from xattn.training.samples import Failure
from xattn.training.scores import Scores, score
from xattn.training.splits import SPLITS, Split, write_splits
from xattn.training.start import build_network

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Attributes:
        out: its folder.
        checkpoint: the weights of the best epoch, for `xattn.load`.
        history: all epochs.
        best: the epoch with the highest balanced accuracy on the validation images.
        val: scores there; that epoch was chosen by them, so they flatter it.
        test: scores on images that had no part in the training; None if the recipe has none.
        skipped: files that could not be used.
        notes: what a person should know of the splits.
    """

    out: Path
    checkpoint: Path
    history: tuple[Epoch, ...]
    best: Epoch
    val: Scores
    test: Scores | None
    skipped: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """All scores as one flat row: val_balanced_accuracy, test_auc_low, ..."""
        parts = {"val": self.val, "test": self.test}
        return {
            f"{split}_{name}": value
            for split, scores in parts.items()
            if scores is not None
            for name, value in scores.to_row().items()
        }


def train(
    recipe: str | Path | Recipe,
    annotations: str | Path | Annotations,
    out: str | Path,
    *,
    images: Images = None,
    splits: str | Path | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool | Progress = True,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_fault: Callable[[object], None] | None = None,
) -> TrainResult:
    """Train a classifier on the labels of an annotation file.

    Writes OUT/model.pt (the best epoch by balanced accuracy on the validation images; what it was
    trained with stands in it), history.csv, splits.csv, recipe.toml, errors.csv and, at the end,
    train.json. Each is there whole or not at all. On a CPU, the same arguments give the same
    weights, bit for bit; torch's global generators come back as they were.

    Args:
        recipe: a TOML file, or one that was read.
        annotations: an annotation file, or one that was read.
        out: a folder that holds no finished training.
        images: where the images are, by id, if only some of them are meant.
        splits: splits.csv of another training, to use the same; images that are not in it are
            left out.
        epochs, seed: in place of the recipe's.
        device: "auto", "cpu", "cuda" or "mps".
        workers: threads that decode.
        progress: True for a bar on the terminal, or a function called with (stage, done, total).
        on_epoch: called after every epoch; what it raises ends the training.
        on_fault: called with everything that is left out.

    Raises:
        XattnError: the recipe, the annotation file or the splits are wrong, a class has too few
            images, or the loss became infinite.
        RunError: `out` holds a finished training.
        UsageError: the architecture is unknown, or the device is not there.
        CheckpointError: the weights to start from do not fit.
    """
    began = time.perf_counter()
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    changes = {"epochs": epochs, "seed": seed}
    recipe = recipe.with_train(**{k: v for k, v in changes.items() if v is not None})
    place = resolve_device(device)
    folder = _vacant(Path(out))
    if isinstance(annotations, str | Path):
        from xattn.annotations import read_annotations

        annotations = read_annotations(annotations, on_fault=on_fault)
    samples, left_out = choose(annotations, images, recipe.data, splits)

    with bar(progress) as move, isolated_chance(place):
        # Before the images: a wrong name should not wait for them.
        network, init = build_network(recipe, len(annotations.labels))
        material = prepare(samples, annotations.labels, recipe, workers=workers, progress=move)
        unused = (*left_out, *material.cache.failures)
        if on_fault is not None:
            for failure in unused:
                on_fault(failure)
        skipped = (*_as_failures(annotations), *unused)
        splits_sha256 = _write_inputs(folder, recipe, material, skipped)
        decoded = time.perf_counter()

        def save(epoch: Epoch) -> None:
            _save(folder / "model.pt", network, recipe, material, epoch, splits_sha256)

        keeper = Keeper(folder, save, on_epoch)
        scores = _fit(network, recipe, material, place, keeper, move)

    result = TrainResult(
        out=folder,
        checkpoint=folder / "model.pt",
        history=tuple(keeper.history),
        best=keeper.best,
        val=scores["val"],
        test=scores.get("test"),
        skipped=skipped,
        notes=material.notes,
    )
    write_json(
        folder / "train.json",
        {
            "schema": SCHEMA,
            "recipe": recipe.model_dump(mode="json"),
            "annotations": relative(annotations.path, folder.parent),
            "annotations_sha256": file_sha256(annotations.path),
            "classes": material.classes,
            "splits": material.describe(),
            "splits_sha256": splits_sha256,
            "notes": material.notes,
            "skipped": len(skipped),
            "init": init,
            "checkpoint": "model.pt",
            "checkpoint_sha256": file_sha256(result.checkpoint),
            "epochs": len(result.history),
            "best_epoch": result.best.epoch,
            "val": result.val.to_row(),
            "test": None if result.test is None else result.test.to_row(),
            "device": str(place),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "timings": {
                "prepare_seconds": round(decoded - began, 3),
                "total_seconds": round(time.perf_counter() - began, 3),
                "epoch_seconds": keeper.seconds,
            },
        },
    )
    return result


def _fit(
    network: nn.Module,
    recipe: Recipe,
    material: Material,
    device: torch.device,
    keeper: Keeper,
    progress: Progress | None,
) -> dict[Split, Scores]:
    """Train, go back to the best weights, and score them on what was not trained on."""
    callbacks: list[pl.Callback] = [keeper]
    if progress is not None:
        callbacks.append(Reporter(progress))
    if recipe.train.patience:
        stop = EarlyStopping("val_balanced_accuracy", patience=recipe.train.patience, mode="max")
        callbacks.append(stop)
    module = Classifier(network, recipe, material)
    with quiet_library():
        trainer = pl.Trainer(
            accelerator=device.type,
            devices=1,
            max_epochs=recipe.train.epochs,
            gradient_clip_val=recipe.train.clip or None,
            callbacks=callbacks,
            # The order of the images is new in every epoch.
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            # Files are the keeper's business, and the caller's folder is nobody else's.
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module)
        network.load_state_dict(keeper.weights)
        return {
            split: _score(trainer, module, material, split)
            for split in SPLITS
            if split != "train" and len(material.rows(split))
        }


def _score(trainer: pl.Trainer, module: Classifier, material: Material, split: Split) -> Scores:
    parts: list[Any] = trainer.predict(module, module.batches(material.rows(split))) or []
    logits = torch.cat(parts).double().numpy()
    return score(logits, material.labels(split), material.classes, material.groups(split))


def _save(
    path: Path,
    network: nn.Module,
    recipe: Recipe,
    material: Material,
    epoch: Epoch,
    splits_sha256: str,
) -> None:
    """Write the checkpoint of one epoch; what it was trained on stands in it."""
    save_checkpoint(
        path,
        network,
        architecture=recipe.model.architecture,
        options=recipe.model.options,
        classes=material.classes,
        preprocessing=recipe.preprocessing,
        extra={
            "recipe": recipe.model_dump(mode="json"),
            "splits": material.describe(),
            "splits_sha256": splits_sha256,
            "best": asdict(epoch),
        },
    )


def _write_inputs(
    folder: Path, recipe: Recipe, material: Material, skipped: Iterable[Failure]
) -> str:
    """Put down what the training starts from; return the hash of splits.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in ("model.pt", "history.csv"):  # of a training that was interrupted here
        (folder / stale).unlink(missing_ok=True)
    write_text(folder / "recipe.toml", recipe.to_toml())
    write_errors(folder, skipped)
    return write_text(folder / "splits.csv", write_splits(material.splits, material.domains))


def _as_failures(annotations: Annotations) -> list[Failure]:
    """Turn the faults of an annotation file into lines of errors.csv."""
    return [Failure(annotations.path, "annotation", str(fault)) for fault in annotations.faults]


def _vacant(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise RunError(f"Expected a folder for the training, but got the file {folder}")
    if (folder / "train.json").exists():
        raise RunError(
            f"Expected no finished training in {folder}, but got its train.json"
            "; name another folder with --out"
        )
    return folder
