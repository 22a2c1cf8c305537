"""Images to explain, and what a run of them leaves on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.models.nets import CLASSES, Brightness, plain
from xattn.models import Model, wrap
from xattn.runs import RunFolder


def bright(**preprocessing: Any) -> Model:
    return wrap(Brightness(), classes=CLASSES, preprocessing=plain(**preprocessing))


def noise(path: Path, size: tuple[int, int] = (60, 40), seed: int = 0) -> Path:
    """Write an image of (width, height) noise."""
    pixels = np.random.default_rng(seed).integers(1, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def spot(
    path: Path, size: tuple[int, int], box: tuple[int, int, int, int], level: int = 255
) -> Path:
    """Write a black image of (width, height) with one bright box (left, top, right, bottom)."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = level
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read_pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tables(run: RunFolder) -> dict[str, bytes]:
    """The bytes of all that later stages read, and of the overlays."""
    files = [run.path / "predictions.parquet", run.path / "errors.csv"]
    files += [p for p in (run.path / "maps.zarr").rglob("*") if p.is_file()]
    files += [p for p in (run.path / "overlays").rglob("*") if p.is_file()]
    return {str(file.relative_to(run.path)): file.read_bytes() for file in sorted(files)}
