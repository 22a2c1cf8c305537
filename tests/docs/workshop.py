"""The folder that the examples of the pages are run in: what the pages say that one has."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image

import xattn
from xattn.images import Preprocessing
from xattn.models import save_checkpoint
from xattn.models.architectures.registry import build

CLASSES = ["benign", "malignant"]
FINISHED = {
    "docstrings": ["xattn-run"],
    "docs/verify.md": ["xattn-run"],
    "docs/report.md": ["xattn-run", "resnet18", "resnet18-ga"],
    "docs/figures.md": ["xattn-run", "run-a", "run-b", "runs/resnet18", "runs/resnet18-ga"],
}
"""Pages that take finished runs for given, and what they call them."""

SMALL_STUDY = """\
[synthesize]
n = 40
size = [64, 64]

[models]
recipes = ["resnet18.toml"]

[models.values]
data.size = [32, 48]
data.val = 0.2
data.test = 0.3
train.epochs = 1
train.batch_size = 16

[evaluate]
bootstrap = 99

[explain]
methods = ["gradcam"]
overlay = "none"

[feature_usage]
permutations = 19
bootstrap = 99
interventions = 0
computed = false
concepts = false
given = ["none"]

[figures]
runs = ["alignment"]

[tables]
runs = ["alignment"]
"""
"""A recipe of a study that takes seconds, beside the recipe of a training, `resnet18.toml`."""


def furnish(folder: Path, images: int = 12) -> None:
    """Fill an empty folder: images with masks and annotations, tables, and untrained networks."""
    annotations = xattn.synthesize(folder, images, size=(112, 144))
    (folder / "dir").symlink_to("images")
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(num_classes=2).state_dict(), folder / "r18.pt")
    vit = build("vit_tiny_patch16_224", len(CLASSES))
    torch.save(vit.state_dict(), folder / "vit.pt")
    hybrid = build("resnet18-ga", len(CLASSES))
    save_checkpoint(
        folder / "model.pt", hybrid, architecture="resnet18-ga", classes=CLASSES,
        preprocessing=Preprocessing(size=(112, 144)),
    )  # fmt: skip
    (folder / "study.toml").write_text(SMALL_STUDY, encoding="utf-8")
    shutil.copy(Path(__file__).parents[2] / "models" / "resnet18.toml", folder)
    _write_tables(folder, json.loads(annotations.read_text(encoding="utf-8"))["images"])


def _write_tables(folder: Path, known: list[dict[str, Any]]) -> None:
    """Write the same images as tables, and some as a folder per class."""
    features = ["patches", "ruler", "hair", "age", "sex"]
    rows = [[i["id"], i["label"], i["group"], *(i["values"][f] for f in features)] for i in known]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "diagnosis", "lesion", *features], *rows])
    paths = [
        [f"{i}.jpg", label, f"P{k // 2}", group] for k, (i, label, group, *_) in enumerate(rows)
    ]
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "diagnosis", "patient", "lesion"], *paths])
    for name in ("normal", "tumor"):
        (folder / "patches" / name).mkdir(parents=True)
        for i in range(2):
            tissue = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(tissue).save(folder / "patches" / name / f"{name}_{i}.png")


def finish(folder: Path) -> None:
    """Make the run that some pages begin with, with few permutations and edits."""
    run = xattn.explain(
        xattn.load(folder / "model.pt"), folder / "images", methods=["gradcam", "attention"],
        annotations=folder / "isic_attributes.json", out=folder / "finished",
    )  # fmt: skip
    xattn.feature_usage(
        run, folder / "isic_attributes.json", permutations=19, bootstrap=99, interventions=2
    )


def copy_for(page: str, workshop: Path, to: Path) -> None:
    """Give a page its own copy of the workshop, with the finished runs that it takes for given."""
    ignored = shutil.ignore_patterns("finished")
    shutil.copytree(workshop, to, symlinks=True, ignore=ignored, dirs_exist_ok=True)
    for name in FINISHED.get(page, []):
        shutil.copytree(workshop / "finished", to / name)


def names_for(page: str, folder: Path) -> dict[str, Any]:
    """Return what the Python of a page takes for given."""
    if page != "docs/models.md":
        return {}
    model = xattn.load(folder / "model.pt")
    return {
        "model": model,
        "batch": torch.rand(2, 3, 112, 144),
        "any_module": torchvision.models.resnet18(num_classes=2),
        "module": torchvision.models.resnet18(num_classes=2),
        "image": Image.new("RGB", (160, 120)),
    }
