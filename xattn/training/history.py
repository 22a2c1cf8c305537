"""What every epoch came to, the weights of the best one, and where the training stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import lightning.pytorch as pl
import pandas as pd
from torch import Tensor

from xattn.addresses.outgoing import committed
from xattn.disk import replacing, writing_to
from xattn.training.module import Classifier

Criterion = Literal["val_balanced_accuracy", "val_auc"]
"""What the best epoch is best by; of independent findings, which may be rare, the area under the
ROC curves, since their probabilities need not cross one half."""


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's batches, with augmentation and class weights.
        val_loss, val_balanced_accuracy, val_auc: on the validation images, after the epoch; of
            independent findings means over them.
        lr: learning rate of the epoch's last step.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_balanced_accuracy: float
    val_auc: float
    lr: float

    def rank(self, by: Criterion = "val_balanced_accuracy") -> tuple[float, float]:
        """Larger is better: a score, and among equals the smaller loss."""
        return getattr(self, by), -self.val_loss


class EpochRecorder(pl.Callback):
    """Writes history.csv after every epoch, keeps the best weights, and ends what has stalled.

    After every epoch, all that is needed to go on from there is in one file. With several
    processes only the first writes.

    Args:
        out: folder of the training.
        state: file to go on from.
        save: writes the checkpoint; called whenever an epoch is the best so far.
        on_epoch: told of every epoch, after it was written. A training that is killed
            meanwhile tells it of the same epoch again.
        patience: epochs without a better balanced accuracy after which it ends; 0 for never.
        keep: writes the checkpoint of an epoch, best or not; called after every `keep_every`.
        keep_every: 0 for never.
        by: what the best epoch is best by, and patience waits for.
    """

    def __init__(
        self,
        out: Path,
        state: Path,
        save: Callable[[Epoch], None],
        on_epoch: Callable[[Epoch], None] | None = None,
        patience: int = 0,
        keep: Callable[[Epoch], None] | None = None,
        keep_every: int = 0,
        *,
        by: Criterion = "val_balanced_accuracy",
    ) -> None:
        self.history: list[Epoch] = []
        self.seconds: list[float] = []
        self.weights: dict[str, Tensor] = {}
        self.resumed_after: list[int] = []
        self._out, self._state, self._save, self._on_epoch = out, state, save, on_epoch
        self._patience = patience
        self._keep, self._keep_every = keep, keep_every
        self._by: Criterion = by
        self._rate = self._began = 0.0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept: the first among equals."""
        return max(self.history, key=lambda epoch: epoch.rank(self._by))

    @property
    def stalled(self) -> bool:
        """Whether the patience is at its end; follows from the history alone."""
        scores = [epoch.rank(self._by)[0] for epoch in self.history]
        if not (self._patience and scores):
            return False
        return len(scores) - 1 - scores.index(max(scores)) >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Return all that is known, for the file to go on from."""
        return {
            "history": [asdict(epoch) for epoch in self.history],
            "seconds": self.seconds,
            "weights": self.weights,
            "resumed_after": self.resumed_after,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what another process knew."""
        self.history = [Epoch(**values) for values in state_dict["history"]]
        self.seconds = list(state_dict["seconds"])
        self.weights = dict(state_dict["weights"])
        self.resumed_after = [*state_dict["resumed_after"], len(self.history)]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """End at once if all that was left to do is to stop."""
        trainer.should_stop = self.stalled

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._began = perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate before the scheduler moves on."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the epoch, its weights if they are the best, and where the training stands."""
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
            if trainer.is_global_zero:
                self._save(epoch)
        if trainer.is_global_zero:
            if self._keep is not None and self._keep_every and not epoch.epoch % self._keep_every:
                self._keep(epoch)
            write_history(self._out / "history.csv", self.history)
        trainer.should_stop = self.stalled
        try:
            if self._on_epoch is not None:
                self._on_epoch(epoch)
        finally:  # what it raises ends the training, and the same call goes on after this epoch
            self._write_state(trainer)

    def _write_state(self, trainer: pl.Trainer) -> None:
        """Write the file to go on from, whole or not at all; a matter of all processes at once."""
        scratch = self._state.with_name(f".{self._state.name}.part")
        with writing_to(self._state):
            trainer.save_checkpoint(scratch)
            if trainer.is_global_zero:
                os.replace(scratch, self._state)
                committed(self._state, record=True)


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write history.csv whole or not at all."""
    columns = [field.name for field in fields(Epoch)]
    table = pd.DataFrame([asdict(epoch) for epoch in history], columns=columns)
    with replacing(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")
