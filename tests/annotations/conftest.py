"""A small annotated folder, right in every way, for tests to spoil in one way each."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xattn.annotations import Problem, check_annotations, read_annotations


class Folder:
    """`images/{a,b,c}.png` of 30 x 20 pixels, masks beside them, and `file.json` about them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "file.json"
        rng = np.random.default_rng(0)
        for name in "abc":
            pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            self.save(f"images/{name}.png", pixels)
            self.save(f"masks/{name}_network.png", rng.random((20, 30)) < 0.3)
            self.save(f"masks/{name}_lesion.png", np.ones((40, 60), bool))
        self.content: dict[str, Any] = {
            "schema": "xattn-annotations/1",
            "labels": ["benign", "malignant"],
            "features": {
                "pigment_network": {"kind": "structure"},
                "patches": {"kind": "artifact"},
                "age": {"kind": "metadata"},
                "sex": {"kind": "metadata"},
            },
            "images": [
                {
                    "id": name,
                    "file": f"images/{name}.png",
                    "label": label,
                    "group": "g1",
                    "lesion": f"masks/{name}_lesion.png",
                    "masks": {
                        "pigment_network": f"masks/{name}_network.png",
                        "patches": {"size": [2, 3], "counts": [1, 2, 3]},
                    },
                    "values": {"age": 55, "sex": "female", "patches": 0},
                }
                for name, label in zip("abc", ["benign", "malignant", "benign"], strict=True)
            ],
        }

    def save(self, name: str, pixels: np.ndarray, orientation: int = 1) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        extra = {"exif": exif} if orientation != 1 else {}
        Image.fromarray(pixels).save(path, **extra)
        return path

    def change(self, *keys: str | int, to: Any) -> Folder:
        """Set one value deep in the content; the last key may be new. `...` removes it."""
        content = self.content = copy.deepcopy(self.content)
        for key in keys[:-1]:
            content = content[key]
        if to is ...:
            del content[keys[-1]]
        else:
            content[keys[-1]] = to
        return self

    def write(self) -> Path:
        self.path.write_text(json.dumps(self.content), encoding="utf-8")
        return self.path

    def read(self, **options: Any):
        return read_annotations(self.write(), **options)

    def check(self) -> list[Problem]:
        return check_annotations(self.write())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")
