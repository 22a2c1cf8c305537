"""A run says where relevance went, and adds it up over calls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import xattn
from tests.models.nets import Conv, with_statistics, wrapped


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i in range(3):
        pixels = draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_run_json_has_where_the_relevance_of_all_calls_went(images, tmp_path):
    torch.manual_seed(0)
    model = wrapped(with_statistics(Conv()).eval())
    asked = {"methods": ["attnlrp"], "out": tmp_path / "run", "overlay": "none", "batch_size": 2}
    run = xattn.explain(model, images, **asked)
    said = run.settings["conserved"]["attnlrp"]
    assert said["images"] == 3
    assert said["pixels"] == pytest.approx(float(run.maps("attnlrp")[:].sum()), rel=1e-3, abs=1e-5)
    explained = [row[f"logit_{row['explained']}"] for _, row in run.predictions.iterrows()]
    assert said["logits"] == pytest.approx(sum(explained), rel=1e-4)
    whole = said["pixels"] + said["constants"] + said["softmax"]
    assert whole == pytest.approx(said["logits"], rel=1e-3)

    again = xattn.explain(model, images, **asked)
    assert again.settings["conserved"] == run.settings["conserved"]
    Image.new("RGB", (48, 32), "white").save(images / "new.png")
    more = xattn.explain(model, images, **asked)
    assert more.settings["conserved"]["attnlrp"]["images"] == 4
