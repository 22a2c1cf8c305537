"""One step of a training, one validation and the optimiser, as a Lightning module."""

from __future__ import annotations

from collections.abc import Collection

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from xattn.errors import XattnError
from xattn.stats.finding_metrics import mean_scores
from xattn.stats.seeds import seed_for
from xattn.stats.weighted_metrics import auc, sensitivities
from xattn.training.augmentations import AUGMENTATIONS
from xattn.training.dataset import Dataset
from xattn.training.loader import Batch, BatchLoader, balanced, shuffled
from xattn.training.parameter_groups import parameter_groups
from xattn.training.recipe import Recipe
from xattn.training.schedule import learning_rate


class Classifier(pl.LightningModule):
    """A network, its data and its recipe.

    Everything random in a step is a function of (seed, epoch, batch) alone, and of the process if
    there are several: each takes its part of every batch, and all score the same validation
    images together.

    Args:
        network: maps normalised (n, 3, h, w) to logits (n, classes).
        recipe: how it is trained.
        dataset: the images and their splits.
        loaded: names of the parameters that `init` filled.
    """

    mean: Tensor
    std: Tensor
    class_weights: Tensor

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        dataset: Dataset,
        loaded: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.dataset = dataset
        self._loaded = frozenset(loaded)
        self._augment = AUGMENTATIONS[recipe.for_domain(None).train.augment].change
        self._seen: list[tuple[Tensor, Tensor]] = []
        colour = {"mean": recipe.data.mean, "std": recipe.data.std}
        for name, values in colour.items():
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        balance = recipe.train.class_weights == "balanced"
        if dataset.exclusive:
            weights = torch.ones(len(dataset.classes))
            if balance:
                weights = balanced_weights(dataset.labels("train"), len(dataset.classes))
        else:
            weights = torch.ones(2, len(dataset.classes))
            if balance:
                weights = balanced_answers(dataset.answers("train"))
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, classes) for float images (n, 3, h, w) in [0, 1]."""
        inputs = (images - self.mean) / self.std
        # On CPUs EfficientNet-B0 trains a quarter faster so, ResNet18 equally fast.
        logits: Tensor = self.network(inputs.contiguous(memory_format=torch.channels_last))
        return logits

    def train_dataloader(self) -> BatchLoader:
        """Return the batches of the current epoch, shuffled."""
        rows, train = self.dataset.rows("train"), self.recipe.train
        if train.sampling == "balanced":
            labels = self.dataset.labels("train")
            return self._loader(balanced(rows, labels, train.seed, self.current_epoch))
        return self._loader(shuffled(rows, train.seed, self.current_epoch))

    def val_dataloader(self) -> BatchLoader:
        """Return the batches of the validation images, in order."""
        return self._loader(self.dataset.rows("val"))

    def batches(self, rows: NDArray[np.intp]) -> BatchLoader:
        """Return the batches of some rows of the images, in their order."""
        return BatchLoader(self.dataset.images, rows, self.recipe.train.batch_size)

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self._trainer is not None else 1

    def _loader(self, rows: NDArray[np.intp]) -> BatchLoader:
        """Return this process's part of the batches of some rows."""
        size = self.recipe.train.batch_size
        return BatchLoader(self.dataset.images, rows, size, self.global_rank, self._world)

    def _seed(self, *place: int) -> int:
        """Return the seed of a place in the training; processes have their own."""
        rank = (self.global_rank,) if self.global_rank else ()
        return seed_for(self.recipe.train.seed, self.current_epoch, *place, *rank)

    @property
    def _frozen(self) -> bool:
        return self.current_epoch < self.recipe.train.freeze_epochs

    def on_train_epoch_start(self) -> None:
        """Freeze what `init` filled, or let it train."""
        if self.recipe.train.freeze_epochs and self._world == 1:
            for parameter in self._loaded_parameters():
                parameter.requires_grad_(not self._frozen)

    def on_after_backward(self) -> None:
        """Drop the gradients of what is frozen, before they count in the norm that is clipped.

        Processes that train together must all compute them: their exchange of gradients is set up
        once, for all parameters.
        """
        if self._frozen:
            for parameter in self._loaded_parameters():
                parameter.grad = None

    def _loaded_parameters(self) -> list[nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if name in self._loaded]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what the network itself draws: dropout, stochastic depth."""
        torch.manual_seed(self._seed(batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch, augmented."""
        pixels, labels = batch
        images = _unit_range(pixels)
        if self._augment is not None:
            chance = Generator().manual_seed(self._seed(batch_idx, 0))
            images = self._augment(images, chance)
        loss = self._loss(self(images), labels, f"batch {batch_idx + 1}")
        together = self._world > 1
        size = len(labels)
        self.log(
            "train_loss", loss, on_step=False, on_epoch=True, batch_size=size, sync_dist=together
        )
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what was seen; all processes take the first one's batch norm statistics."""
        self._seen = []
        if self._world > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: Batch) -> None:
        """Keep the logits of one batch."""
        pixels, labels = batch
        self._seen.append((self(_unit_range(pixels)).float(), labels))

    def on_validation_epoch_end(self) -> None:
        """Score the validation images as one."""
        logits, labels = self._together(
            *(torch.cat(parts) for parts in zip(*self._seen, strict=True))
        )
        self._seen = []
        loss = self._loss(logits, labels, "validation")
        values, classes = logits.double().cpu().numpy(), labels.cpu().numpy()
        self.log("val_loss", loss)
        if self.dataset.exclusive:
            weights = np.ones((1, len(classes)))
            accuracy = float(sensitivities(values, classes, weights).mean())
            area = float(auc(values, classes, weights)[0])
        else:
            accuracy, area = mean_scores(values, classes)
        self.log("val_balanced_accuracy", accuracy)
        self.log("val_auc", area)

    def _together(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all processes have seen, in the same order in each."""
        if self._world == 1:
            return logits, labels
        own = (logits.cpu(), labels.cpu())
        everyones: list[tuple[Tensor, Tensor]] = [own] * self._world
        torch.distributed.all_gather_object(everyones, own)
        all_logits, all_labels = (torch.cat(parts) for parts in zip(*everyones, strict=True))
        return all_logits.to(logits.device), all_labels.to(labels.device)

    def predict_step(self, batch: Batch) -> Tensor:
        """Return the logits of one batch."""
        logits: Tensor = self(_unit_range(batch[0]))
        return logits

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, without decay of vectors and scalars, its rate set anew at every step."""
        settings = self.recipe.train
        groups = parameter_groups(self.network, settings, self._loaded)
        # A fused optimiser would scale gradients itself, after they were clipped.
        fused = settings.precision == "32"
        optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=fused)
        steps = len(self._loader(self.dataset.rows("train"))) * settings.epochs
        rate = learning_rate(settings.schedule, steps, settings.warmup)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1},
        }

    def _loss(self, logits: Tensor, labels: Tensor, where: str) -> Tensor:
        if self.dataset.exclusive:
            loss = F.cross_entropy(logits, labels, weight=self.class_weights)
        else:
            loss = masked_bce(logits, labels, self.class_weights)
        if not torch.isfinite(loss):
            raise XattnError(
                f"Expected a finite loss, but got {loss.item()} in epoch {self.current_epoch + 1}, "
                f"{where}: the training has diverged; lower `lr` under [train] (now "
                f"{self.recipe.train.lr:g}), or set `clip` and `warmup`"
            )
        return loss


def balanced_weights(labels: NDArray[np.intp], n_classes: int) -> Tensor:
    """Return weights (classes,) under which every class counts alike: n / (classes x n_class).

    As scikit-learn's "balanced". Their mean over the images is 1.
    """
    counts = np.bincount(labels, minlength=n_classes)
    return torch.tensor(len(labels) / (n_classes * counts), dtype=torch.float32)


def masked_bce(logits: Tensor, answers: Tensor, weights: Tensor) -> Tensor:
    """Return the binary cross-entropy of independent findings, mean over what is known.

    Args:
        logits: (n, findings).
        answers: (n, findings), 1 shown, 0 absent, -1 not known, which counts for nothing.
        weights: (2, findings), of an absent and of a shown finding.
    """
    known, shown = answers >= 0, answers > 0
    each = F.binary_cross_entropy_with_logits(logits, shown.to(logits.dtype), reduction="none")
    weight = torch.where(shown, weights[1], weights[0]) * known
    # A batch of which nothing is known has a loss of 0, and gradients of 0.
    return (each * weight).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)


def balanced_answers(answers: NDArray[np.int8]) -> Tensor:
    """Return weights (2, findings) under which absent and shown count alike, finding by finding.

    As `balanced_weights` of each finding as a question of two classes: n / (2 x n of the answer).
    """
    sides = np.stack([(answers == 0).sum(axis=0), (answers == 1).sum(axis=0)])
    return torch.tensor(sides.sum(axis=0) / (2 * sides), dtype=torch.float32)


def _unit_range(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255)
