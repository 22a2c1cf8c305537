"""Trainings of the tiny network, and what is compared of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.training.recipes import tiny_recipe
from xattn.images import read_image
from xattn.models import Model
from xattn.training.fit import train

B, M = "benign", "malignant"


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def logits_of(model: Model, files: list[Path]) -> torch.Tensor:
    pixels = np.stack([model.preprocessing.pixels(read_image(file).image) for file in files])
    with torch.no_grad():
        return model.logits(model.normalise(torch.from_numpy(pixels))).double()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def run(annotations, out, *, recipe=None, **options):
    return train(recipe or tiny_recipe(), annotations, out, progress=False, **options)
