"""Miniatures of data sets as they are downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def image(path: Path, value: int = 0) -> Path:
    """Write a small image; others of the same value have the same pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def table(path: Path, *lines: str) -> Path:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def isic_images(root: Path, names: Iterable[str], folder: str = "Input") -> None:
    """Write one image a name, which may have an ending."""
    for i, name in enumerate(names):
        image(root / folder / (name if "." in name else f"{name}.jpg"), i)
