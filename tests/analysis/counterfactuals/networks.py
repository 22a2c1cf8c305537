"""Small networks that learn all tasks at once, and what they say of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from tests.analysis.counterfactuals.images import Exam, Lessons
from xattn.images.levels import Pixels
from xattn.runs.atomic import replacing

_HELD_OUT = 0.15
"""Fraction of the training images that are left to see what was learnt; the same for all."""
_OWN = 0.85
"""Fraction of the others that one network trains on."""
_BATCH = 16


@dataclass(frozen=True)
class Answers:
    """What one network says.

    Attributes:
        name: of its architecture.
        auc: (tasks,) on the images left out of training.
        spread: (tasks,) standard deviation of each output on these.
        scores: (m, tasks) outputs for the images of the exam, log odds.
    """

    name: str
    auc: np.ndarray
    spread: np.ndarray
    scores: np.ndarray


def plain(widths: tuple[int, ...], outputs: int, kernel: int = 3) -> nn.Module:
    """Return convolutions of stride 2, and the mean over the image."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths[:-1]), widths, strict=True):
        layers += [
            nn.Conv2d(before, after, kernel, 2, kernel // 2),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        kernel = 3
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs)
    )


ARCHITECTURES = {
    "plain-16": lambda outputs: plain((16, 32, 48, 64, 96), outputs),
    "plain-20": lambda outputs: plain((20, 32, 64, 96), outputs, kernel=5),
}
"""In turn: five layers, or four that are wider and begin with a larger window."""


def answers(seed: int, taught: Lessons, asked: Exam, file: Path, passes: int) -> Answers:
    """Train one network and ask it, or read what it said.

    Args:
        seed: of its weights, of the images that it trains on, and of their order.
        taught: all training images.
        asked: scenes and edits.
        file: where its answers are kept.
        passes: images that the network sees, again and again.
    """
    if not file.is_file():
        name = list(ARCHITECTURES)[seed % len(ARCHITECTURES)]
        net, held_out = trained(name, seed, taught, passes)
        said = scores(net, taught.images[held_out])
        torch.save(net.state_dict(), file.with_suffix(".pt"))
        with replacing(file) as there, there.open("wb") as stream:
            np.savez(
                stream, name=name, scores=scores(net, asked.images), spread=said.std(axis=0),
                auc=[_auc(taught.labels[held_out, t], said[:, t]) for t in range(said.shape[1])],
            )  # fmt: skip
    with np.load(file) as found:
        return Answers(str(found["name"]), found["auc"], found["spread"], found["scores"])


@dataclass(frozen=True)
class Network:
    """A trained network, and what it learnt: (tasks,) AUC."""

    net: nn.Module
    auc: np.ndarray


def loaded(file: Path, outputs: int) -> Network:
    """Read a network that `answers` has trained.

    Args:
        file: its weights, beside its answers.
        outputs: how many tasks.
    """
    with np.load(file.with_suffix(".npz")) as found:
        net = ARCHITECTURES[str(found["name"])](outputs)
        net.load_state_dict(torch.load(file, weights_only=True))
        return Network(net.eval(), found["auc"])


def trained(name: str, seed: int, taught: Lessons, passes: int) -> tuple[nn.Module, np.ndarray]:
    """Return a network that was trained, and the places of the images left out."""
    n = len(taught.images)
    held_out = np.arange(n - round(_HELD_OUT * n), n)
    rng = np.random.default_rng(seed)
    own = rng.permutation(n - len(held_out))[: round(_OWN * (n - len(held_out)))]
    torch.manual_seed(seed)
    net = ARCHITECTURES[name](taught.labels.shape[1])
    steps = max(2, round(passes / _BATCH))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    net.train()
    for _ in range(steps):
        rows = rng.choice(own, _BATCH, replace=False)
        images = taught.images[rows][:, :: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        y = torch.from_numpy(taught.labels[rows].astype(np.float32))
        known = ~y.isnan()
        said = net(tensor(images))
        loss = nn.functional.binary_cross_entropy_with_logits(said[known], y[known])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval(), held_out


def tensor(images: Pixels) -> torch.Tensor:
    """Return images (n, height, width, 3) as a network takes them."""
    there = torch.from_numpy(np.ascontiguousarray(images))
    return there.permute(0, 3, 1, 2).float() / 63.75 - 2


def scores(net: nn.Module, images: Pixels) -> np.ndarray:
    """Return log odds (n, tasks)."""
    with torch.inference_mode():
        parts = [net(tensor(images[i : i + 128])) for i in range(0, len(images), 128)]
    return torch.cat(parts).double().numpy()


def _auc(label: np.ndarray, said: np.ndarray) -> float:
    known = ~np.isnan(label)
    if len(np.unique(label[known])) < 2:
        return np.nan
    return float(roc_auc_score(label[known], said[known]))
