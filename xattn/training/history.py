"""What every epoch came to, and the weights of the best one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from torch import Tensor

from xattn.runs.atomic import replacing
from xattn.training.module import Classifier


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's batches, with augmentation and class weights.
        val_loss, val_balanced_accuracy, val_auc: on the validation images, after the epoch.
        lr: learning rate of the epoch's last step.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_balanced_accuracy: float
    val_auc: float
    lr: float

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better: balanced accuracy, and among equals the smaller loss."""
        return self.val_balanced_accuracy, -self.val_loss


class Keeper(pl.Callback):
    """Writes history.csv after every epoch and keeps the weights of the best one.

    Args:
        out: folder of the training.
        save: writes the checkpoint; called whenever an epoch is the best so far.
        on_epoch: told of every epoch, after it was written down.
    """

    def __init__(
        self,
        out: Path,
        save: Callable[[Epoch], None],
        on_epoch: Callable[[Epoch], None] | None,
    ) -> None:
        self.history: list[Epoch] = []
        self.seconds: list[float] = []
        self.weights: dict[str, Tensor] = {}
        self._out, self._save, self._on_epoch = out, save, on_epoch
        self._rate = self._began = 0.0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept: the first among equals."""
        return max(self.history, key=lambda epoch: epoch.rank)

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._began = perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate before the scheduler moves on."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch down, and its weights if they are the best."""
        assert isinstance(module, Classifier)
        self.seconds.append(round(perf_counter() - self._began, 3))
        measured = {
            name: float(trainer.callback_metrics[name])
            for name in ("train_loss", "val_loss", "val_balanced_accuracy", "val_auc")
        }
        epoch = Epoch(epoch=trainer.current_epoch + 1, lr=self._rate, **measured)
        self.history.append(epoch)
        if self.best is epoch:
            state = module.network.state_dict()
            self.weights = {key: value.detach().cpu().clone() for key, value in state.items()}
            self._save(epoch)
        write_history(self._out / "history.csv", self.history)
        if self._on_epoch is not None:
            self._on_epoch(epoch)


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write history.csv whole or not at all."""
    columns = [field.name for field in fields(Epoch)]
    table = pd.DataFrame([asdict(epoch) for epoch in history], columns=columns)
    with replacing(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")
