"""Archives of images, small."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int, height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(seed: int, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(seed)).save(file, form)
    return file.getvalue()


def zipped(path: Path, **members: bytes) -> Path:
    """Write a zip; names are given with `__` for a slash and without their ending."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".png", data)
    return path


def tarred(path: Path, **members: bytes) -> Path:
    """Write a tar, packed if its ending says so."""
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo("./" + name.replace("__", "/") + ".png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
