"""The record of a run says what made it."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from tests.models.nets import CLASSES, Conv, vit, wrapped
from xattn.attribution.run.provenance import describe_run, weights_sha256
from xattn.images import Preprocessing
from xattn.models import build, load, save_checkpoint


def test_a_record_is_plain_json_and_names_what_was_found():
    record = describe_run(wrapped(vit()), ["gradcam"], "predicted", 4)
    assert json.loads(json.dumps(record)) == record
    assert record["target_layer"] == "blocks.1.norm1"
    assert record["target_grid"] == [4, 6]
    assert record["attention_layers"] == ["blocks.0.attn", "blocks.1.attn"]
    assert record["classes"] == CLASSES
    assert record["base"] == ".."


def test_a_loaded_model_is_recorded_with_its_file_and_training(tmp_path):
    path = save_checkpoint(
        tmp_path / "model.pt", build("test_resnet", 2), architecture="test_resnet",
        classes=CLASSES, preprocessing=Preprocessing((64, 64)), extra={"epochs": 7},
    )  # fmt: skip
    model = load(path)
    record = describe_run(model, ["gradcam"], "label", 4)
    assert record["checkpoint"] == "model.pt"
    assert record["checkpoint_format"] == "xattn"
    assert record["checkpoint_sha256"] == model.source["sha256"]
    assert record["training"] == {"epochs": 7}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_weights_in_memory_are_known_by_their_hash(dtype):
    net = Conv().to(dtype)
    first = weights_sha256(net)
    assert weights_sha256(net) == first
    with torch.no_grad():
        net.fc.bias[0] += 1
    assert weights_sha256(net) != first


def test_scalars_and_flags_can_be_hashed():
    net = nn.Module()
    net.register_buffer("gate", torch.zeros(()))
    net.register_buffer("mask", torch.ones(2, 3, dtype=torch.bool)[:, :2])
    assert len(weights_sha256(net)) == 64
