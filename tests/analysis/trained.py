"""Training folders made by hand, with networks whose logits follow a known distribution."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CLASSES = ("benign", "malignant")


@dataclass(frozen=True)
class Images:
    """Test images whose true class and difficulty all networks share.

    Attributes:
        split: (n,) names.
        truth: (n,) 0 or 1.
        hardness: (n,) normal; added to every network's logit, towards the wrong class.
        group: (n,) names.
        prefix: of the ids.
    """

    split: np.ndarray
    truth: np.ndarray
    hardness: np.ndarray
    group: np.ndarray
    prefix: str = "img"

    @property
    def ids(self) -> list[str]:
        return [f"{self.prefix}{i:05d}" for i in range(len(self.truth))]


def make_images(
    rng: np.random.Generator, sizes: dict[str, int], per_group: int = 1, positive: float = 0.4
) -> Images:
    """Draw images; those of a group have one class and hardness."""
    split = np.repeat(list(sizes), list(sizes.values()))
    group = np.arange(len(split)) // per_group
    of_group = int(group.max()) + 1
    truth = (rng.random(of_group) < positive).astype(int)[group]
    hardness = rng.normal(size=of_group)[group]
    return Images(split, truth, hardness, np.array([f"{s}-{g}" for s, g in zip(split, group)]))  # noqa: B905


def make_logits(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return a network's logits (n, 2): the margin is skill - hardness + its own noise.

    The noise, of variance 1, is shared by 0.7 within a group: a network takes all images of a
    lesion alike.
    """
    _, group = np.unique(images.group, return_inverse=True)
    shared = rng.normal(size=group.max() + 1)[group]
    noise = 0.7**0.5 * shared + 0.3**0.5 * rng.normal(size=len(group))
    margin = skill - images.hardness + noise
    towards = np.where(images.truth == 1, margin, -margin)
    return np.stack([-towards / 2, towards / 2], axis=1)


def fabricate_training(
    path: Path,
    images: Images,
    logits: np.ndarray,
    *,
    architecture: str = "resnet18",
    seed: int | None = 0,
    options: dict[str, Any] | None = None,
    classes: Sequence[str] = CLASSES,
    lr: float = 1e-3,
    splits_sha256: str = "0" * 64,
) -> Path:
    """Write train.json and predictions.parquet, as `xattn train` does."""
    path.mkdir(parents=True)
    table = prediction_table(images, logits, classes)
    table.to_parquet(path / "predictions.parquet", index=False)
    recipe = {
        "model": {"architecture": architecture, "options": options or {}},
        "data": {"size": [64, 64]},
        "train": {"epochs": 2, "lr": lr, "seed": seed},
    }
    facts = {
        "schema": "xattn-training/1",
        "recipe": recipe,
        "classes": list(classes),
        "splits_sha256": splits_sha256,
    }
    (path / "train.json").write_text(json.dumps(facts))
    return path


def prediction_table(
    images: Images, logits: np.ndarray, classes: Sequence[str] = CLASSES
) -> pd.DataFrame:
    """Return predictions.parquet of a training folder."""
    prob = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob /= prob.sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    table = pd.DataFrame({
        "image_id": images.ids, "split": images.split, "domain": "", "group": images.group,
        "label": names[images.truth], "predicted": names[logits.argmax(axis=1)],
    })  # fmt: skip
    for i, name in enumerate(classes):
        table[f"logit_{name}"] = logits[:, i]
        table[f"prob_{name}"] = prob[:, i]
    return table


def fabricate_study(
    root: Path,
    skills: dict[str, float],
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    *,
    sizes: dict[str, int] | None = None,
    spread: float = 0.05,
    per_group: int = 1,
    seed: int = 0,
) -> list[Path]:
    """Write one training per architecture and seed; skills vary over seeds with `spread`.

    On OOD images every network is 0.5 less able.
    """
    rng = np.random.default_rng(seed)
    images = make_images(rng, sizes or {"test": 400, "ood": 400}, per_group)
    loss = np.where(images.split == "ood", 0.5, 0.0)
    paths = []
    for architecture, skill in skills.items():
        for one in seeds:
            own = skill + rng.normal(0, spread)
            logits = make_logits(rng, images, own - loss)
            path = root / f"{architecture}-{one}"
            paths.append(
                fabricate_training(path, images, logits, architecture=architecture, seed=one)
            )
    return paths
