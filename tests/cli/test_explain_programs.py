"""Networks without layers to look into: predictions, and the commands that need no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.models.kinds.page import KINDS
from xattn.cli import main
from xattn.runs.atomic import read_record

FILES = ("graph with quantised weights", "traced network of nobody's")
PROGRAMS = {kind.name: kind for kind in KINDS if kind.what in FILES}


@pytest.mark.parametrize("name", PROGRAMS)
def test_predictions_are_written_without_maps_and_found_again(name, tmp_path, monkeypatch, capsys):
    kind = PROGRAMS[name]
    for package in kind.packages:
        pytest.importorskip(package)
    images = tmp_path / "images"
    images.mkdir()
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{i}.png")
    path, _ = kind.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["explain", "--ckpt", path.name, "--classes", "benign,malignant", "--size", "64"]
    words += ["--images", "images"]
    assert main(words) == 1
    assert "predictions alone: --method none" in capsys.readouterr().err
    assert main([*words, "--method", "none"]) == 0
    predictions = pd.read_parquet(tmp_path / "xattn-run" / "predictions.parquet")
    assert len(predictions) == 2
    record = read_record(tmp_path / "xattn-run" / "run.json")
    assert record["target_layer"] is None
    assert main(["inspect", "--ckpt", path.name, "--classes", "benign,malignant"]) == 0
    assert "shows no layers" in capsys.readouterr().out


def test_an_onnx_graph_that_is_not_converted_has_maps_without_gradients_alone(
    tmp_path, monkeypatch, capsys
):
    kind = PROGRAMS["ONNX: graph with quantised weights"]
    for package in kind.packages:
        pytest.importorskip(package)
    path, _ = kind.build(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    words = ["explain", "--ckpt", path.name, "--classes", "benign,malignant", "--images", "a.png"]
    for name in ("saliency", "attnlrp"):
        assert main([*words, "--method", name]) == 1
        assert "an ONNX graph has none; use occlusion" in capsys.readouterr().err
    assert main([*words, "--method", "occlusion"]) == 0
    assert main(["figures", "xattn-run", "--only", "tables"]) == 0
    assert "nothing to draw: xattn-run holds predictions" in capsys.readouterr().out
