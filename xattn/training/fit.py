"""`train`: from a recipe and an annotation file to a checkpoint and its record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from xattn.addresses.scratch import refuse
from xattn.models.device import resolve_device
from xattn.runs.atomic import write_json
from xattn.runs.guard import writes
from xattn.runs.record import file_sha256, versions
from xattn.splits.assign import Images, choose_samples
from xattn.splits.findings import chosen_findings
from xattn.splits.samples import SPLITS, Split
from xattn.stats.finding_metrics import score_findings
from xattn.stats.weighted_metrics import Scores, score
from xattn.training.dataset import Dataset, load_dataset
from xattn.training.decoding import Progress
from xattn.training.folder import (
    PACKAGES,
    about_dataset,
    about_result,
    save_epoch,
    vacant,
    write_inputs,
)
from xattn.training.history import Epoch, EpochRecorder, write_history
from xattn.training.init_weights import Start, build_network
from xattn.training.lightning_quiet import isolated_chance
from xattn.training.loop import Hardware, fit_module, logits_of
from xattn.training.module import Classifier
from xattn.training.predictions import prediction_table, write_predictions
from xattn.training.progress import bar
from xattn.training.recipe import Recipe, read_recipe
from xattn.training.result import TrainResult
from xattn.training.resume import Bookmark

if TYPE_CHECKING:
    from xattn.annotations import Annotations

__all__ = ["TrainResult", "fit", "train"]


def _helps(arguments: Mapping[str, Any]) -> bool:
    """Say whether this is a further process of a training on several devices: the first writes."""
    return arguments["devices"] > 1 and os.environ.get("LOCAL_RANK", "0") != "0"


@writes("out", "xattn train", unless=_helps)
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
    devices: int = 1,
    tensorboard: bool = False,
    workers: int | None = None,
    progress: bool | Progress = True,
    on_start: Callable[[Start, Recipe], None] | None = None,
    on_dataset: Callable[[Dataset], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_problem: Callable[[object], None] | None = None,
) -> TrainResult:
    """Train a classifier on the labels of an annotation file.

    Where images have lists of findings, each output is a question of its own: binary cross-entropy
    over what is known, and the best epoch is that of the largest mean area under the ROC curves.

    Writes OUT/model.pt (the best epoch by balanced accuracy on the validation images; what it was
    trained with stands in it), checkpoints/epoch_0005.pt and so on if the recipe's `keep_every`
    asks for them, history.csv, splits.csv, recipe.toml, errors.csv and, at the end,
    predictions.parquet and train.json. Each is there whole or not at all. On a CPU, the same
    arguments give the same weights, bit for bit; torch's global generators come back as they were.

    A training that was killed goes on after its last finished epoch if it is called again with
    the same arguments, and ends as it would have without the kill.

    Args:
        recipe: a TOML file, or one that was read.
        annotations: an annotation file, or one that was read.
        out: a folder that holds no finished training.
        images: where the images are, by id, if only some of them are meant.
        splits: splits.csv of another training, to use the same; images that are not in it are
            left out.
        epochs: in place of the recipe's.
        seed: in place of the recipe's.
        device: "auto", "cpu", "cuda" or "mps".
        devices: how many; more than one start the running script again as often, each process
            with its part of every batch. All return the same, the first writes.
        tensorboard: write OUT/logs for TensorBoard.
        workers: threads that decode.
        progress: True for a bar on the terminal, or a function called with (stage, done, total).
        on_start: called once, with the network, where its weights come from, and the recipe as it
            is trained.
        on_dataset: called once, with the images in their splits, before the first epoch.
        on_epoch: called after every epoch; what it raises ends the training, and the next call
            goes on after that epoch. After a kill it may be told of the last epoch again.
        on_problem: called with everything that is left out.

    Returns:
        The path of the checkpoint (`checkpoint`), the best epoch, and the scores on validation,
        ID and OOD test images, each in [0, 1] with its 95 % interval.

    Raises:
        XattnError: the recipe, the annotation file or the splits are wrong, a class has too few
            images, or the loss became infinite.
        RunError: `out` holds a finished training, or an unfinished one of other arguments.
        UsageError: the architecture is unknown, or the device is not there.
        CheckpointError: the weights to start from do not fit.

    Examples:
        >>> trained = xattn.train(
        ...     "models/resnet18.toml", "isic_attributes.json", "models/resnet18"
        ... )  # doctest: +SKIP
        >>> trained.test.balanced_accuracy  # doctest: +SKIP
        Estimate(value=0.71, low=0.65, high=0.77)
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    changes = {"epochs": epochs, "seed": seed}
    recipe = recipe.with_train(**{k: v for k, v in changes.items() if v is not None})
    hardware = Hardware(resolve_device(device), devices)
    hardware.check(recipe.train.precision)
    folder = vacant(Path(out))
    if devices > 1:
        file = annotations if isinstance(annotations, str | Path) else annotations.path
        refuse("several devices", folder, file)
    if isinstance(annotations, str | Path):
        from xattn.annotations import read_annotations

        annotations = read_annotations(annotations, on_problem=on_problem)
    domain = annotations.likely_domain
    doubts, recipe = recipe.doubts(domain), recipe.for_domain(domain)
    Bookmark(folder).check(**_arguments(recipe, annotations.path, hardware))
    annotations, left_out = chosen_findings(annotations, recipe.data)
    chosen = choose_samples(annotations, images, recipe.data, splits)

    with bar(progress) as move, isolated_chance(hardware.device):
        # Before the images: a wrong name should not wait for them.
        start = build_network(recipe, len(annotations.labels))
        if on_start is not None:
            on_start(start, recipe)
        dataset = load_dataset(annotations, recipe, chosen, workers=workers, progress=move)
        dataset = replace(dataset, notes=(*left_out, *dataset.notes, *doubts))
        if on_problem is not None:
            for failure in dataset.skipped[len(annotations.problems) :]:
                on_problem(failure)
        if on_dataset is not None:
            on_dataset(dataset)
        return fit(
            start,
            recipe,
            dataset,
            folder,
            hardware,
            tensorboard=tensorboard,
            progress=move,
            on_epoch=on_epoch,
        )


def fit(
    start: Start,
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    hardware: Hardware,
    *,
    scored: tuple[Split, ...] = SPLITS[1:],
    tensorboard: bool = False,
    progress: Progress | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainResult:
    """Train a network on a data set, or go on with its training, and write the record.

    Args:
        start: what `build_network` returned; its network is left with the best epoch's weights.
        recipe: how it is trained.
        dataset: what it is trained on.
        folder: as `out` of `train`.
        hardware: where to compute.
        scored: splits whose images are looked at when the training is over.
        tensorboard, progress, on_epoch: see `train`.
    """
    began = time.perf_counter()
    bookmark, first = Bookmark(folder), hardware.rank == 0
    arguments = _arguments(recipe, dataset.annotations, hardware)
    arguments |= {"images": dataset.images_sha256}
    bookmark.check(**arguments)
    if first:
        write_inputs(folder, recipe, dataset, fresh=not bookmark.pending)
        bookmark.begin(**arguments)

    def save(epoch: Epoch) -> None:
        save_epoch(folder / "model.pt", start, recipe, dataset, epoch)

    def keep(epoch: Epoch) -> None:
        place = folder / "checkpoints"
        place.mkdir(exist_ok=True)
        save_epoch(place / f"epoch_{epoch.epoch:04d}.pt", start, recipe, dataset, epoch)

    recorder = EpochRecorder(
        folder,
        bookmark.state,
        save,
        on_epoch,
        recipe.train.patience,
        keep,
        recipe.train.keep_every,
        by="val_balanced_accuracy" if dataset.exclusive else "val_auc",
    )
    module = Classifier(start.network, recipe, dataset, start.loaded)
    try:
        logs = folder / "logs" if tensorboard else None
        fit_module(module, hardware, recorder, bookmark, progress, logs)
    except BaseException:
        if first and not bookmark.pending:
            bookmark.clear()
        raise
    logits = logits_of(module, hardware, scored)
    scores = {split: _score(dataset, split, values) for split, values in logits.items()}
    result = TrainResult(
        out=folder,
        checkpoint=folder / "model.pt",
        history=tuple(recorder.history),
        best=recorder.best,
        scores=scores,
        skipped=dataset.skipped,
        notes=dataset.notes,
    )
    if not first:
        return result
    if recorder.resumed_after:  # the files may be of an epoch after which the process was killed
        save(recorder.best)
        write_history(folder / "history.csv", recorder.history)
    write_predictions(folder / "predictions.parquet", prediction_table(dataset, logits))
    facts = {
        **about_dataset(recipe, dataset, folder),
        "init": start.init,
        "head": start.head,
        **about_result(result),
        "device": hardware.describe(),
        "threads": torch.get_num_threads(),
        "versions": versions(*PACKAGES),
        "resumed_after": recorder.resumed_after,
        "timings": {
            "prepare_seconds": round(dataset.seconds, 3),
            "total_seconds": round(dataset.seconds + time.perf_counter() - began, 3),
            "epoch_seconds": recorder.seconds,
        },
    }
    write_json(folder / "train.json", facts)
    bookmark.clear()
    return result


def _score(dataset: Dataset, split: Split, logits: NDArray[np.float64]) -> Scores:
    classes, groups = dataset.classes, dataset.groups(split)
    if dataset.exclusive:
        return score(logits, dataset.labels(split), classes, groups)
    return score_findings(logits, dataset.answers(split), classes, groups)


def _arguments(recipe: Recipe, annotations: Path, hardware: Hardware) -> dict[str, Any]:
    """Return what a training must be called with again to go on, and is known before it decodes."""
    return {
        "recipe": recipe.to_record(),
        "annotations": file_sha256(annotations),
        "device": hardware.describe(),
    }
