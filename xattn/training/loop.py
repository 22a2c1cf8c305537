"""The training library at work: from a network and its material to the weights of every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray

from xattn.training.data import Progress
from xattn.training.history import Keeper
from xattn.training.module import Classifier
from xattn.training.progress import Reporter
from xattn.training.quiet import quiet_library
from xattn.training.resume import Bookmark
from xattn.training.samples import SPLITS, Split


@dataclass(frozen=True)
class Hardware:
    """Where to compute.

    Attributes:
        device: kind of device.
    """

    device: torch.device

    def describe(self) -> str:
        """Return the name that goes into the record."""
        return str(self.device)


def fit_module(
    module: Classifier,
    hardware: Hardware,
    keeper: Keeper,
    bookmark: Bookmark,
    progress: Progress | None,
) -> None:
    """Train to the end, from the start or from where another process was killed.

    Args:
        module: network, recipe and material; left with the best epoch's weights.
        hardware: where to compute.
        keeper: collects the epochs and the best weights.
        bookmark: says whether there is a training to go on with.
        progress: told of every batch.
    """
    train = module.recipe.train
    callbacks: list[pl.Callback] = [keeper]
    if progress is not None:
        callbacks.append(Reporter(progress))
    with quiet_library():
        trainer = pl.Trainer(
            accelerator=hardware.device.type,
            devices=1,
            max_epochs=train.epochs,
            gradient_clip_val=train.clip or None,
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
        resumed = bookmark.state if bookmark.pending else None
        trainer.fit(module, ckpt_path=resumed, weights_only=True)
    module.network.load_state_dict(keeper.weights)


@torch.inference_mode()
def logits_of(
    module: Classifier, hardware: Hardware, splits: tuple[Split, ...] = SPLITS[1:]
) -> dict[Split, NDArray[np.float64]]:
    """Return the logits (images, classes) of every split that holds images.

    In full precision, whatever the training's was, as every user of the checkpoint will have them.
    """
    module.to(hardware.device).eval()
    found = {}
    for split in splits:
        rows = module.material.rows(split)
        if not len(rows):
            continue
        parts = [
            module.predict_step((pixels.to(hardware.device), labels))
            for pixels, labels in module.batches(rows)
        ]
        found[split] = torch.cat(parts).double().cpu().numpy()
    module.to("cpu")
    return found
