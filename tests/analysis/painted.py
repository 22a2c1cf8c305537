"""A run of images with green patches, red dots and a lesion, and models that see one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import xattn
from tests.fabricate import fabricate_run
from xattn.annotations import AnnotatedImage, Annotations, read_annotations, write_annotations
from xattn.features.feature_set import FeatureSet, collect_features
from xattn.images.preprocessing import Preprocessing
from xattn.models.interface import Model
from xattn.runs import RunFolder

SIDE = 48
SKIN, LESION, PATCH, DOT = (210, 160, 140), (120, 80, 60), (60, 200, 80), (200, 40, 40)


class Sees(nn.Module):
    """Logits (0, strength * fraction of pixels of one colour - offset); colours in 0 to 1."""

    def __init__(self, colour: tuple[int, int, int], strength: float = 40.0) -> None:
        super().__init__()
        self.colour = nn.Parameter(torch.tensor(colour) / 255)
        self.strength = strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = (x - self.colour[:, None, None]).square().sum(1)
        fraction = torch.exp(-distance / 0.02).mean((1, 2))
        return torch.stack([torch.zeros_like(fraction), self.strength * fraction - 0.5], 1)


class Match(nn.Module):
    """How much each pixel is of one colour, (n, 1, height, width)."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.colour = nn.Parameter(torch.tensor(colour) / 255)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(x - self.colour[:, None, None]).square().sum(1, keepdim=True) / 0.02)


class SeesInLayers(nn.Module):
    """What `Sees` computes, with a layer that can be explained."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.match = Match(colour)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fraction = self.match(x).mean((1, 2, 3))
        return torch.stack([torch.zeros_like(fraction), 40 * fraction - 0.5], 1)


def sees_in_layers(colour: tuple[int, int, int]) -> Model:
    plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
    return xattn.wrap(SeesInLayers(colour), classes=["benign", "malignant"], preprocessing=plain)


def sees(colour: tuple[int, int, int], strength: float = 40.0) -> Model:
    plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
    return xattn.wrap(Sees(colour, strength), classes=["benign", "malignant"], preprocessing=plain)


@dataclass(frozen=True)
class PaintedRun:
    run: RunFolder
    annotations: Annotations
    features: FeatureSet


def painted_run(root: Path, n: int = 60, seed: int = 0, model: Model | None = None) -> PaintedRun:
    """Half the images have a green patch beside the lesion, half red dots inside it."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    lesion = np.hypot(rows - 24, cols - 18) < 11
    patch, dots = rng.random(n) < 0.5, rng.random(n) < 0.5
    label = np.where(rng.random(n) < np.where(patch, 0.3, 0.7), "malignant", "benign")
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    annotated, stack = [], []
    for i in range(n):
        top, left = int(rng.integers(2, 38)), int(rng.integers(34, 38))
        masks = {
            "patch": (abs(rows - top - 4) < 5) & (abs(cols - left - 4) < 5) & patch[i],
            "dots": (np.hypot(rows - rng.integers(18, 30), cols - 18) < 3) & dots[i],
        }
        pixels = np.empty((SIDE, SIDE, 3))
        pixels[:] = SKIN
        pixels[lesion] = LESION
        pixels[masks["patch"]] = PATCH
        pixels[masks["dots"]] = DOT
        pixels = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
        stack.append(pixels)
        name = f"img_{i:04d}"
        paths = {f: root / "masks" / f"{name}_{f}.png" for f in ("patch", "dots", "lesion")}
        for feature, path in paths.items():
            mask = lesion if feature == "lesion" else masks[feature]
            Image.fromarray((mask * 255).astype(np.uint8)).save(path)
        annotated.append(
            AnnotatedImage(
                id=name,
                file=root / "images" / f"{name}.png",
                label=str(label[i]),
                lesion=paths.pop("lesion"),
                masks=paths,
            )
        )
    model = model or sees(PATCH)
    batch = model.normalise(torch.from_numpy(np.stack(stack)))
    logits = model.logits(batch).detach().double().numpy()
    logits += rng.normal(0, 0.05, logits.shape)
    run = fabricate_run(
        root,
        logits,
        {"gradcam": rng.random((n, 6, 6)), "attention": rng.random((n, 4, 4))},
        image_size=(SIDE, SIDE),
        input_size=(SIDE, SIDE),
    )
    for one, pixels in zip(annotated, stack, strict=True):
        Image.fromarray(pixels).save(one.file)
    path = write_annotations(
        root / "annotations.json",
        annotated,
        labels=["benign", "malignant"],
        features={"patch": "artifact", "dots": "structure"},
    )
    known = read_annotations(path)
    return PaintedRun(run, known, collect_features(run, known))
