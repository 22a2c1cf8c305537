"""A network whose weights are set by hand, and images in which three features are planted.

Red tells of "used", green of "held", blue of "unseen". The network's channels are red and green;
its head takes the red one alone. All three features go with the label, as strongly as each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from tests.models.nets import wrapped
from xattn.analysis.concepts.pooled import PooledLayer, pool
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.models import Model
from xattn.runs import RunFolder
from xattn.stats.columns import Column

SIDE = 8
FEATURES = ("used", "held", "unseen")
SHIFT, NOISE = 0.1, 0.1


class HandSet(nn.Module):
    """Two channels, red and green; the head takes red alone, straight or through a bend."""

    def __init__(self, bent: bool) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3, padding=1)
        self.bent = bent
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.bias.zero_()
            for channel in range(2):
                self.layer.weight[channel, channel, 1, 1] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.layer(x).mean((2, 3))
        red = pooled[:, 0] - 0.5
        # Steeper on one side: gradients then differ from image to image.
        moved = red + torch.relu(red) if self.bent else red
        # Green counts where nothing depends on it, so that the layer's every channel has a graph.
        return torch.stack([torch.zeros_like(moved), 20 * moved + 0 * pooled[:, 1]], dim=1)


def hand_set(bent: bool = False) -> Model:
    """Wrap the network; its explained layer is the convolution."""
    return wrapped(HandSet(bent).eval(), (SIDE, SIDE), target_layer="layer")


@dataclass(frozen=True)
class Drawn:
    """Images (n, 3, 8, 8), label, groups, and each feature's presence."""

    images: Tensor
    label: pd.Series
    group: pd.Series
    columns: list[Column]

    def layer(self, model: Model) -> PooledLayer:
        activations, gradients, logits = pool(model, self.images)
        rows = np.arange(len(self.images))
        return PooledLayer("layer", tuple(model.classes), rows, activations, gradients, logits)


def draw(n: int, seed: int, *, spread: float = 1.0, paired: bool = False) -> Drawn:
    """Draw images whose colours tell of features that go with the label.

    Args:
        n: how many.
        seed: of all of it.
        spread: noise of green's images with the feature, over that of those without.
        paired: two images each to a group, with the same features.
    """
    rng = np.random.default_rng(seed)
    of = np.arange(n) // 2 if paired else np.arange(n)
    first = 2 * of if paired else of  # of each image's group
    label = rng.integers(0, 2, n)[first]
    chance = np.where(label == 1, 0.5, 0.2)
    present = [(rng.random(n) < chance)[first] for _ in FEATURES]
    colour = 0.5 + 0.1 * label[:, None] + rng.normal(0, NOISE, (n, 3))
    for i, one in enumerate(present):
        colour[:, i] += SHIFT * one
    # What goes with "held" is as noisy as asked for where it is, in red, which counts.
    colour[:, 0] += np.where(present[1], rng.normal(0, 1, n), 0) * NOISE * (spread - 1)
    pixels = colour[:, :, None, None] + rng.normal(0, 0.05, (n, 3, SIDE, SIDE))
    columns = [
        Column(name, "artifact", "presence", one.astype(float))
        for name, one in zip(FEATURES, present, strict=True)
    ]
    names = pd.Series(np.array(["benign", "malignant"])[label])
    group = pd.Series([f"g{i}" for i in of] if paired else [None] * n, dtype=object)
    return Drawn(torch.from_numpy(pixels).float(), names, group, columns)


class _Asked(RunFolder):
    """What a question needs of a run of two classes."""

    of_output = ""
    of_value = False


def question(classes: tuple[str, ...] = ("benign", "malignant")) -> Question:
    """Ask of two classes, the last positive; of more, of each."""
    return Question(_Asked.__new__(_Asked), Positive.of(classes))
