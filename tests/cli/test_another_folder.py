"""Whatever a command refuses to go on with, it names its own option for another folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xattn.cli import COMMANDS, main
from xattn.models.architectures.registry import build
from xattn.runs.atomic import read_record, write_json

CLASSES = ("a", "b")
FOLDERS = {"explain": "--out", "evaluate": "--out", "feature-usage": "--run"}
FEW = {"evaluate": ["--bootstrap", "99"],
       "feature-usage": ["--bootstrap", "99", "--permutations", "19", "--interventions", "0",
                         "--no-concepts"]}  # fmt: skip


def study(root: Path) -> None:
    rng, images = np.random.default_rng(0), []
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(root / f"x{i}.bmp")
        images.append({"id": f"x{i}", "file": f"x{i}.bmp", "label": CLASSES[i % 2],
                       "values": {"ruler": i // 2 % 2}})  # fmt: skip
    content = {"schema": "xattn-annotations/1", "labels": list(CLASSES),
               "features": {"ruler": {"kind": "artifact"}}, "images": images}  # fmt: skip
    (root / "a.json").write_text(json.dumps(content))
    for name in ("net", "other"):
        torch.manual_seed(len(name))
        torch.save(build("test_resnet", 2).state_dict(), root / f"{name}.pt")


def another_checkpoint(root: Path) -> list[str]:
    return ["--ckpt", "other.pt"]


def another_size(root: Path) -> list[str]:
    return ["--size", "48"]


def _unnoticed(file: Path, content: bytes) -> None:
    """Write what is as long and as old as what was there."""
    facts = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert file.stat().st_size == facts.st_size


def an_image_is_gone(root: Path) -> list[str]:
    (root / "x3.bmp").unlink()
    return ["--method", "layercam"]


def an_image_is_another(root: Path) -> list[str]:
    before = (root / "x3.bmp").read_bytes()
    _unnoticed(root / "x3.bmp", before[:54] + bytes(len(before) - 54))
    return ["--method", "layercam"]


def an_image_is_damaged(root: Path) -> list[str]:
    _unnoticed(root / "x3.bmp", bytes((root / "x3.bmp").stat().st_size))
    return ["--method", "layercam"]


def _rewritten(root: Path, change: Callable[[dict], None]) -> None:
    path = root / "r/run.json"
    record = read_record(path)
    change(record)
    write_json(path, record)


def maps_of_another_layer(root: Path) -> list[str]:
    _rewritten(root, lambda record: record["map_layers"].update(gradcam="layer1"))
    return []


def cells_elsewhere(root: Path) -> list[str]:
    def change(record: dict) -> None:
        for cells in record["cells"].values():
            cells["y"] = {"origin": 100.0, "step": 9.0} if isinstance(cells["y"], dict) else (
                [100.0, 9.0]
            )  # fmt: skip

    _rewritten(root, change)
    return []


REFUSALS = (
    another_checkpoint, another_size, an_image_is_gone, an_image_is_another, an_image_is_damaged,
    maps_of_another_layer, cells_elsewhere,
)  # fmt: skip
WITHOUT_MAPS = (another_checkpoint, another_size)
"""Refusals of a command that makes no maps."""


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (command, refusal)
        for command in FOLDERS
        for refusal in (REFUSALS if command != "evaluate" else WITHOUT_MAPS)
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_the_option_is_the_commands_own(command, refusal, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study(tmp_path)
    first = ["--ckpt", "net.pt", "--arch", "test_resnet", "--classes", ",".join(CLASSES),
             "--annotations", "a.json", FOLDERS[command], "r", *FEW.get(command, [])]  # fmt: skip
    if command == "explain":
        first += ["--overlay", "none"]
    if "--size" not in first:
        first += ["--size", "32"]
    assert main([command, *first, "--quiet"]) == 0, capsys.readouterr().err
    asked = refusal(tmp_path)
    if asked[:1] in (["--ckpt"], ["--size"]):  # said once more, otherwise
        first[first.index(asked[0]) + 1] = asked[1]
        asked = []
    capsys.readouterr()
    assert main([command, *first, *asked, "--quiet"]) == 1
    told = capsys.readouterr().err
    assert f"name another folder with {FOLDERS[command]}" in told
    (own,) = (one for one in COMMANDS if one.name == command)
    options = {word for one in own.params for word in one.opts}
    assert set(re.findall(r"--[a-z-]+", told)) <= options
