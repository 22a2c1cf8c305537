"""Run folders with annotation files beside them, both made by hand, for tests of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.fabricate import fabricate_run
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.runs import RunFolder

VIEW = (32, 32)
IMAGE = (48, 32)
"""Width and height: not square."""


@dataclass(frozen=True)
class Planted:
    """A run, its annotation file, and what was planted.

    Attributes:
        masks: feature -> (n, 32, 48) over the upright images; absent features have empty masks.
        centre: (n, 2) row and column, in the view, of each image's structure.
    """

    run: RunFolder
    annotations: Path
    labels: np.ndarray
    masks: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    centre: np.ndarray


def disc(centre: np.ndarray, radius: float, height: int, width: int) -> np.ndarray:
    """Discs (n, height, width) about centres given in a 32 x 32 view."""
    rows = (np.arange(height) + 0.5) * 32 / height
    cols = (np.arange(width) + 0.5) * 32 / width
    distance = np.hypot(
        rows[:, None] - centre[:, 0, None, None], cols[None, :] - centre[:, 1, None, None]
    )
    return distance < radius


def plant(
    root: Path,
    n: int = 60,
    *,
    seed: int = 0,
    looks: bool = True,
    ruler_effect: float = 3.0,
    classes: tuple[str, ...] = ("benign", "malignant"),
    groups: np.ndarray | None = None,
    annotate: bool = True,
) -> Planted:
    """Write a run whose `gradcam` looks at `network` (if `looks`) and whose score uses `ruler`.

    `network` is a structure with a mask in two thirds of the images, `ruler` an artifact with a
    value, `dots` a structure that nothing looks at, `age` and `site` metadata; every image has a
    lesion, in which the structures lie. The method `attention` is noise.
    """
    rng = np.random.default_rng(seed)
    labels = np.array(classes)[rng.integers(0, len(classes), n)]
    centre = rng.uniform(8, 24, (n, 2))
    present = rng.random(n) < 2 / 3
    height, width = IMAGE[1], IMAGE[0]
    masks = {
        "network": disc(centre, 4, height, width) & present[:, None, None],
        "dots": disc(rng.uniform(8, 24, (n, 2)), 3, height, width),
        "lesion": disc(np.full((n, 2), 16.0), 14, height, width),
    }
    values = {
        "ruler": rng.integers(0, 2, n),
        "age": rng.integers(20, 80, n),
        "site": rng.choice(["back", "arm"], n),
    }
    cells = (np.arange(8) + 0.5) * 4
    peak = centre if looks else rng.uniform(8, 24, (n, 2))
    distance = np.hypot(cells[:, None] - peak[:, 0, None, None], cells - peak[:, 1, None, None])
    maps = {
        "gradcam": np.exp(-0.5 * (distance / 4) ** 2) + 0.02 * rng.random((n, 8, 8)),
        "attention": rng.random((n, 4, 4)),
    }
    logits = rng.normal(size=(n, len(classes))) * 0.5
    logits[np.arange(n), np.searchsorted(np.sort(classes), labels)] += 1.0
    logits[:, -1] += ruler_effect * (values["ruler"] - 0.5)
    run = fabricate_run(
        root,
        logits,
        maps,
        labels=None if annotate else list(labels),
        classes=classes,
        image_size=IMAGE,
        input_size=VIEW,
        seed=seed,
    )
    images = [
        _annotated(root, i, masks, values, labels[i] if annotate else None, groups)
        for i in range(n)
    ]
    path = write_annotations(
        root / "annotations.json",
        images,
        labels=list(classes),
        features={
            "network": "structure",
            "dots": "structure",
            "ruler": "artifact",
            "age": "metadata",
            "site": "metadata",
        },
    )
    return Planted(run, path, labels, masks, values, centre)


def _annotated(
    root: Path,
    i: int,
    masks: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
    label: str | None,
    groups: np.ndarray | None,
) -> AnnotatedImage:
    name = f"img_{i:04d}"
    paths: dict[str, Any] = {}
    for feature, stack in masks.items():
        paths[feature] = root / "masks" / f"{name}_{feature}.png"
        paths[feature].parent.mkdir(exist_ok=True)
        Image.fromarray((stack[i] * 255).astype(np.uint8)).save(paths[feature])
    return AnnotatedImage(
        id=name,
        file=root / "images" / f"{name}.png",
        label=None if label is None else str(label),
        group=None if groups is None else str(groups[i]),
        lesion=paths.pop("lesion"),
        masks=paths,
        values={k: v[i].item() for k, v in values.items()},
    )
