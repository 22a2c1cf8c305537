"""`xattn explain --ckpt FOLDER --images DIR` and no other option."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.models.kinds.hugging_face import hugging_face
from tests.models.kinds.page import KINDS
from xattn.attribution.run.provenance import model_of_run
from xattn.cli import main
from xattn.runs import RunFolder

BUILDS = {
    "Hugging Face ViT": hugging_face("ViT"),
    "Hugging Face Swin": hugging_face("Swin"),
    **{
        kind.name: kind.build
        for kind in KINDS
        if kind.what in ("folder with `label_names`", "checkpoint with nested `hyper_parameters`")
    },
}


@pytest.mark.parametrize("name", BUILDS)
def test_needs_nothing_else(name, tmp_path, monkeypatch, capsys):
    if name.startswith("Hugging"):
        pytest.importorskip("transformers")
    model, images = tmp_path / "model", tmp_path / "images"
    model.mkdir()
    images.mkdir()
    path, _ = BUILDS[name](model)
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "--ckpt", str(path), "--images", "images"]) == 0
    assert "classes benign, malignant" in capsys.readouterr().err
    assert main(["inspect", "--ckpt", str(path)]) == 0
    again = model_of_run(RunFolder(tmp_path / "xattn-run"))  # as feature-usage does
    assert again.classes == ["benign", "malignant"]
    predictions = pd.read_parquet(tmp_path / "xattn-run" / "predictions.parquet")
    assert len(predictions) == 2
    assert {"prob_benign", "prob_malignant"} <= set(predictions.columns)
