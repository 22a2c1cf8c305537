"""How far a training is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl

from xattn.training.decoding import Progress


class Reporter(pl.Callback):
    """Tells how many batches of the whole training are done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Report what another process has done before."""
        per_epoch, epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        if trainer.current_epoch:
            self._progress("train", trainer.current_epoch * per_epoch, epochs * per_epoch)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Report one batch more."""
        per_epoch = int(trainer.num_training_batches)
        done = trainer.current_epoch * per_epoch + batch_idx + 1
        self._progress("train", done, per_epoch * (trainer.max_epochs or 1))


@contextmanager
def bar(progress: bool | Progress) -> Iterator[Progress | None]:
    """Give the function that moves a progress bar, on stderr and only if that is a terminal.

    Args:
        progress: True for a bar, False for none, or a function to be given back.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    rest = TimeRemainingColumn(elapsed_when_finished=True)
    # The rate is that of the whole stage: a step may take longer than a shorter memory.
    with Bar(*columns, rest, console=console, speed_estimate_period=1e6) as shown:
        tasks: dict[str, Any] = {}
        last: dict[str, int] = {}

        def move(stage: str, done: int, total: int) -> None:
            if done < last.get(stage, 0):  # of another training
                shown.remove_task(tasks.pop(stage))
            if stage not in tasks:  # what was done before says nothing of the rate
                tasks[stage] = shown.add_task(stage, completed=done, total=total)
            shown.update(tasks[stage], completed=done, total=total)
            last[stage] = done

        yield move
