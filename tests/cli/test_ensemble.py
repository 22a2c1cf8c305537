"""Several checkpoints as one model, from the command line to the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.models.nets import with_statistics
from xattn.cli import main
from xattn.models import build
from xattn.runs.atomic import read_record
from xattn.synthetic.dataset import synthesize

CHOICE = ["--arch", "test_resnet", "--classes", "benign,malignant", "--size", "64x80",
          "--input-mode", "squash", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ensemble")
    synthesize(root / "data", 12, size=(64, 80), seed=3)
    (root / "folds").mkdir()
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = with_statistics(build("test_resnet", 2)).eval()
        nn.init.normal_(net.fc.weight)
        torch.save(net.state_dict(), root / "folds" / f"{seed}.pt")
    return root


def call(*words: object) -> int:
    return main([str(word) for word in words])


def explained(folder: Path, out: str, *checkpoints: Path, more: tuple[str, ...] = ()) -> Path:
    named = [word for path in checkpoints for word in ("--ckpt", path)]
    known = folder / "data/isic_attributes.json"
    assert call("explain", *named, *CHOICE, *more, "--annotations", known, "--out", folder / out,
                "--overlay", "none", "-m", "gradcam", "-m", "scorecam") == 0  # fmt: skip
    return folder / out


def test_predicts_the_mean_and_says_so_in_its_record(folder):
    folds = [folder / "folds" / f"{seed}.pt" for seed in (0, 1)]
    together = explained(folder, "both", *folds, more=("--ensemble",))
    alone = [explained(folder, f"run{i}", fold) for i, fold in enumerate(folds)]
    found, *each = (pd.read_parquet(run / "predictions.parquet") for run in (together, *alone))
    mean = sum(table["prob_malignant"] for table in each) / 2
    np.testing.assert_allclose(found["prob_malignant"], mean, atol=1e-5)
    facts = read_record(together / "run.json")
    assert facts["ensemble"]["average"] == "probabilities"
    assert facts["ensemble"]["maps"] == {
        "gradcam": "through the average",
        "scorecam": "mean of the members' maps",
    }
    files = [member["checkpoint"] for member in facts["ensemble"]["members"]]
    assert files == ["0.pt", "1.pt"]


def test_is_found_again_by_the_run_and_said_again_on_the_page(folder):
    run = explained(folder, "again", folder / "folds", more=("--ensemble", "logits"))
    known = folder / "data/isic_attributes.json"
    assert call("feature-usage", "--run", run, "--annotations", known, "--interventions", 2,
                "--permutations", 19, "--bootstrap", 99, "--no-computed",
                "--quiet") == 0  # fmt: skip
    assert len(pd.read_csv(run / "interventions.csv").dropna(subset="delta_logit"))
    assert call("report", run, "--quiet", "--gallery", 2) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "mean of the logits of 0.pt, 1.pt" in page
    assert "--ckpt folds/0.pt --ckpt folds/1.pt" in page
    assert "--ensemble logits" in page


def test_is_asked_for(folder, capsys):
    folds = ["--ckpt", folder / "folds/0.pt", "--ckpt", folder / "folds/1.pt"]
    images = ["--images", folder / "data/images", "--out", folder / "none"]
    assert call("explain", *folds, *CHOICE, *images) == 2
    assert "Expected one checkpoint, but got 2; --ensemble averages them" in capsys.readouterr().err
    assert call("explain", *folds[:2], "--ensemble", *CHOICE, *images) == 2
    assert "Expected two models or more for an ensemble, but got 1" in capsys.readouterr().err
    assert call("explain", *folds, "--ensemble", "--evaluate", *CHOICE, *images) == 2
    assert "Expected one network to test the maps of" in capsys.readouterr().err
