"""Small things to train on, and a small thing to train."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from xattn.models.architectures.registry import ARCHITECTURES, Architecture

Study = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small only lose by being shared between threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_tiny(n_classes: int, width: int = 8) -> nn.Module:
    """Return everything a training has to deal with, in 300 parameters."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(width, n_classes),
    )


@pytest.fixture(autouse=True)
def tiny_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register "tiny"."""
    tiny = Architecture("tiny", "convolutional", build_tiny, "")
    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a function that writes images and an annotation file, and gives the file's path."""

    def write(
        labels: Sequence[str | None],
        *,
        classes: Sequence[str] = ("benign", "malignant"),
        groups: Sequence[str | None] | None = None,
        telling: bool = True,
        seed: int = 0,
        size: tuple[int, int] = (20, 16),
        name: str = "study",
    ) -> Path:
        """`telling`: the class is in the brightness of the red channel."""
        rng = np.random.default_rng(seed)
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        images = []
        for i, label in enumerate(labels):
            pixels = rng.integers(60, 190, (size[1], size[0], 3), dtype=np.uint8)
            if telling and label is not None:
                pixels[..., 0] = pixels[..., 0] // 4 + 180 * classes.index(label) // len(classes)
            Image.fromarray(pixels).save(root / "images" / f"img{i:03d}.png")
            group = None if groups is None else groups[i]
            entry = {"id": f"img{i:03d}", "file": f"images/img{i:03d}.png"}
            entry |= {"label": label} if label else {}
            entry |= {"group": group} if group else {}
            images.append(entry)
        content = {"schema": "xattn-annotations/1", "labels": list(classes), "images": images}
        path = root / "annotations.json"
        path.write_text(json.dumps(content))
        return path

    return write
