"""Lightning's trainer at work: from a network and its data set to the weights of every epoch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from xattn.errors import UsageError
from xattn.splits.samples import SPLITS, Split
from xattn.training.decoding import Progress
from xattn.training.history import EpochRecorder
from xattn.training.lightning_quiet import quiet_library
from xattn.training.module import Classifier
from xattn.training.progress import Reporter
from xattn.training.resume import Bookmark


@dataclass(frozen=True)
class Hardware:
    """Where to compute.

    Attributes:
        device: kind of device.
        count: how many of them; with more than one, each has a process of its own.
    """

    device: torch.device
    count: int = 1

    @property
    def rank(self) -> int:
        """Which of the processes this is; the first, 0, is the one that writes."""
        return int(os.environ.get("LOCAL_RANK", "0")) if self.count > 1 else 0

    @property
    def own(self) -> torch.device:
        """The device of this process."""
        return torch.device("cuda", self.rank) if self.device.type == "cuda" else self.device

    def describe(self) -> str:
        """Return the name that goes into the record."""
        return str(self.device) if self.count == 1 else f"{self.count} x {self.device}"

    def check(self, precision: str) -> None:
        """Make sure that there are as many devices, and that they can calculate so.

        Raises:
            UsageError: otherwise.
        """
        there = torch.cuda.device_count() if self.device.type == "cuda" else None
        if there is not None and self.count > there:
            raise UsageError(f"Expected {self.count} cuda devices, but this machine has {there}")
        if self.device.type == "mps" and self.count > 1:
            raise UsageError(f"Expected one mps device, but got --devices {self.count}")
        if precision == "16" and self.device.type != "cuda":
            raise UsageError(
                f'Expected a cuda device for precision = "16", but got {self.device}'
                '; take "bf16" or "32" under [train]'
            )


_PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def fit_module(
    module: Classifier,
    hardware: Hardware,
    recorder: EpochRecorder,
    bookmark: Bookmark,
    progress: Progress | None,
    logs: Path | None = None,
) -> None:
    """Train to the end, from the start or from where another process was killed.

    Args:
        module: network, recipe and data set; left with the best epoch's weights.
        hardware: where to compute.
        recorder: collects the epochs and the best weights.
        bookmark: says whether there is a training to go on with.
        progress: told of every batch.
        logs: folder for TensorBoard's files; None for none.
    """
    train = module.recipe.train
    callbacks: list[pl.Callback] = [recorder]
    if progress is not None:
        callbacks.append(Reporter(progress))
    if logs is not None:
        callbacks.append(LearningRateMonitor(logging_interval="epoch"))
    with quiet_library():
        trainer = pl.Trainer(
            accelerator=hardware.device.type,
            devices=hardware.count,
            strategy="ddp" if hardware.count > 1 else "auto",
            precision=_PRECISIONS[train.precision],
            max_epochs=train.epochs,
            gradient_clip_val=train.clip or None,
            callbacks=callbacks,
            # The order of the images is new in every epoch.
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            # Files are the recorder's business, and the caller's folder is nobody else's.
            log_every_n_steps=1,
            logger=_logger(logs) if logs is not None else False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        resumed = bookmark.state if bookmark.pending else None
        trainer.fit(module, ckpt_path=resumed, weights_only=True)
    module.network.load_state_dict(recorder.weights)


@torch.inference_mode()
def logits_of(
    module: Classifier, hardware: Hardware, splits: tuple[Split, ...] = SPLITS[1:]
) -> dict[Split, NDArray[np.float64]]:
    """Return the logits (images, classes) of every split that holds images.

    In full precision, whatever the training's was, as every user of the checkpoint will have them.
    """
    module.to(hardware.own).eval()
    found = {}
    for split in splits:
        rows = module.dataset.rows(split)
        if not len(rows):
            continue
        parts = [
            module.predict_step((pixels.to(hardware.own), labels))
            for pixels, labels in module.batches(rows)
        ]
        found[split] = torch.cat(parts).double().cpu().numpy()
    module.to("cpu")
    return found


def _logger(logs: Path) -> Logger:
    from lightning.pytorch.loggers import TensorBoardLogger  # takes a second to import

    return TensorBoardLogger(logs.parent, name="", version=logs.name)
