"""What a command says of a checkpoint that leaves something open; --strict takes no guess."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.files import make
from xattn.cli import main

SAID = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--weights", "teacher"]


@pytest.fixture
def call(tmp_path: Path) -> list[str]:
    """The arguments that explain one image by a file of two networks."""
    sets = {name: make("test_resnet", seed).state_dict() for seed, name in enumerate("ab")}
    torch.save({"student": sets["a"], "teacher": sets["b"]}, tmp_path / "model.pt")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(noise).save(tmp_path / "images" / "one.png")
    return ["explain", "--ckpt", str(tmp_path / "model.pt"), "--arch", "test_resnet",
            "--classes", "benign,malignant", "--images", str(tmp_path / "images"),
            "--overlay", "none", "--out", str(tmp_path / "run")]  # fmt: skip


def test_a_guess_is_told_and_the_command_goes_on(call, capsys):
    assert main(call) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Note: model.pt: holds 2 sets of weights that fit equally well" in told
    assert "--weights teacher takes the other" in told


def test_strict_names_every_guess_and_how_to_say_it(call, capsys):
    assert main([*call, "--strict"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "Expected nothing to guess for" in told
    assert "sets of weights that fit equally well" in told
    assert "mean and std: timm's record of test_resnet" in told
    assert "--mean, --std or --weights" in told


def test_strict_takes_what_is_said(call):
    assert main([*call, "--strict", *SAID]) == 0
