"""Images whose label is one planted feature, and a small network trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from tests.models.nets import wrapped
from xattn.models import Model

SIDE = 48
SKIN, LESION, HAIR, PATCH = (210, 160, 140), (120, 80, 60), (30, 20, 20), (70, 180, 90)


@dataclass(frozen=True)
class Planted:
    """Images uint8 (n, 48, 48, 3), label (n,), and where the feature is, (n, 48, 48)."""

    images: np.ndarray
    label: np.ndarray
    mask: np.ndarray


def generate(n: int, seed: int) -> Planted:
    """A lesion in the middle and dark lines across all; a green patch somewhere in every other.

    Lesion and lines have the sharper edges and say nothing of the label.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    label = rng.permutation(np.arange(n) % 2)
    images, masks = [], []
    for positive in label:
        image = np.full((SIDE, SIDE, 3), SKIN, dtype=float)
        top, left = rng.integers(0, SIDE - 10, 2)
        mask = (abs(rows - top - 5) < 5) & (abs(cols - left - 5) < 5) & bool(positive)
        image[np.hypot(rows - 24 - rng.normal(0, 2), cols - 24) < rng.uniform(7, 12)] = LESION
        image[mask] = PATCH
        for _ in range(3):
            slope, start = rng.normal(0, 0.6), rng.uniform(0, SIDE)
            image[abs(rows - start - slope * cols) < 0.8] = HAIR
        image += rng.normal(0, 6, image.shape)
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return Planted(np.stack(images), label, np.stack(masks))


class Net(nn.Module):
    """Three convolutions, averaged: grid 12 x 12."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12)
        self.conv2, self.norm2 = nn.Conv2d(12, 16, 3, 2, 1), nn.BatchNorm2d(16)
        self.conv3, self.norm3 = nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.norm3(self.conv3(x)))
        return self.fc(x.mean((2, 3)))


def by_hand() -> Model:
    """A network that sees green and nothing else, right on every image on any processor.

    Its weights are set, not learnt: what is asserted of it does not hang on how a processor adds.
    Half of its channels see darkness, as lesions and lines have it, and the head passes over them.
    """
    green, dark = torch.tensor([-1.0, 1.0, 0.0]), torch.full((3,), -1 / 3)
    net = Net().eval().requires_grad_(False)
    for i, conv in enumerate((net.conv1, net.conv2, net.conv3)):
        half = len(conv.weight) // 2
        conv.weight.zero_()
        conv.bias.zero_()
        if i == 0:
            conv.weight[:half] = green[None, :, None, None] / 9
            conv.weight[half:] = dark[None, :, None, None] / 9
            conv.bias[:half], conv.bias[half:] = -0.1, 0.6
        else:
            before = conv.weight.shape[1] // 2
            conv.weight[:half, :before] = 1 / (9 * before)
            conv.weight[half:, before:] = 1 / (9 * before)
    net.fc.weight.zero_()
    net.fc.weight[1, :8], net.fc.weight[0, :8] = 250.0, -250.0
    net.fc.bias.copy_(torch.tensor([1.0, -1.0]))
    return wrapped(net, (SIDE, SIDE))


@cache
def trained(steps: int = 150) -> Model:
    """The network after some steps; right on almost every new image."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
        known = generate(512, seed=1)
        x = torch.from_numpy(known.images).float().permute(0, 3, 1, 2) / 255
        y = torch.from_numpy(known.label)
        optimiser = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(steps):
            chosen = torch.randint(len(x), (32,))
            optimiser.zero_grad()
            F.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimiser.step()
    return wrapped(net.eval().requires_grad_(False), (SIDE, SIDE))


def save(planted: Planted, folder: Path) -> list[Path]:
    """Write the images as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"img_{i:03d}.png" for i in range(len(planted.label))]
    for path, image in zip(paths, planted.images, strict=True):
        Image.fromarray(image).save(path)
    return paths
