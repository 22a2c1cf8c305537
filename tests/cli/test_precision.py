"""`--precision` on the command line: who takes it, what is said, what was there before it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.attribution.passes.test_precision import Loud
from tests.models.nets import CLASSES, SIZE, with_statistics
from xattn.cli import main
from xattn.images import Preprocessing
from xattn.models import build, save_checkpoint
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record
from xattn.synthetic.dataset import synthesize

QUICK = ["--permutations", "19", "--bootstrap", "99", "--interventions", "3", "--given", "none"]


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    return save_checkpoint(
        tmp_path / "model.pt", with_statistics(build("test_resnet", 2)).eval(),
        architecture="test_resnet", classes=CLASSES, preprocessing=Preprocessing(size=(64, 80)),
    )  # fmt: skip


def test_usage_and_evaluation_are_of_the_precision_of_the_run(checkpoint, tmp_path, capsys):
    known = str(synthesize(tmp_path / "data", 40, size=(64, 80), seed=1))
    words = ["--annotations", known, "--ckpt", str(checkpoint), "--quiet"]
    run = str(tmp_path / "run")
    assert main(["feature-usage", *words, *QUICK, "--run", run, "--precision", "bf16"]) == 0
    assert RunFolder.open(run).settings["computed_in"]["predictions"] == "bf16"
    assert read_record(tmp_path / "run" / "analysis.json")["precision"] == "bf16"
    again = ["feature-usage", "--annotations", known, "--run", run, *QUICK, "--json"]
    assert main(again) == 0  # edits are asked of it as before
    assert read_record(tmp_path / "run" / "analysis.json")["precision"] == "bf16"
    assert main(["feature-usage", *words, *QUICK, "--run", run, "--precision", "32"]) == 1
    assert 'Expected precision "bf16" as in the run folder' in capsys.readouterr().err
    evaluated = ["evaluate", *words, "--bootstrap", "99", "--json", "--out"]
    capsys.readouterr()
    assert main([*evaluated, str(tmp_path / "rated"), "--precision", "bf16"]) == 0
    said = "Predictions were computed in bfloat16 up to the explained layer, float32 after it"
    assert said in json.loads(capsys.readouterr().out)["notes"]


def test_what_was_not_taken_is_an_error_with_strict(tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    torch.save(Loud().eval(), tmp_path / "loud.pt")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    monkeypatch.chdir(tmp_path)
    words = [
        "explain", "--ckpt", "loud.pt", "--unsafe-pickle", "--classes", ",".join(CLASSES),
        "--size", "x".join(map(str, SIZE)), "--mean", "0,0,0", "--std", "1,1,1",
        "-i", "a.png", "--precision", "16",
    ]  # fmt: skip
    assert main(words) == 0
    assert "--precision 16 not taken, but float32: results differ by" in capsys.readouterr().out
    assert main([*words, "--out", "other", "--strict"]) == 3


def test_what_it_took_the_place_of_says_so(checkpoint, tmp_path, capsys):
    assert main(["explain", "--ckpt", str(checkpoint), "-i", str(tmp_path), "--amp"]) == 2
    assert "Expected --precision 16 or --precision bf16, but got --amp" in capsys.readouterr().err
