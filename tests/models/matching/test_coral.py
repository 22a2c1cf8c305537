"""Checkpoints whose head is coral-pytorch's."""

from __future__ import annotations

import pytest
import torch

import xattn
from xattn.errors import CheckpointError
from xattn.models.architectures.registry import build

GRADES = ["none", "mild", "moderate", "severe"]
BIAS = torch.tensor([1.0, 0.2, -0.7])


@pytest.fixture(scope="module")
def made():
    """A network of three thresholds, and its state dict as coral-pytorch's layer keeps it."""
    torch.manual_seed(0)
    network = build("resnet18", 3).eval()
    weight = torch.randn(1, 512)
    with torch.no_grad():
        network.fc.weight.copy_(weight.repeat(3, 1))
        network.fc.bias.copy_(BIAS)
    rest = {k: v for k, v in network.state_dict().items() if not k.startswith("fc.")}
    return network, {**rest, "fc.coral_weights.weight": weight, "fc.coral_bias": BIAS}


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "lightning"])
def test_says_itself_that_its_outputs_are_thresholds(made, tmp_path, wrapped):
    network, state = made
    held = {f"model.{k}": v for k, v in state.items()}
    torch.save({"state_dict": held, "epoch": 3} if wrapped else state, tmp_path / "coral.pt")
    model = xattn.load(tmp_path / "coral.pt", arch="resnet18", classes=GRADES, size=(64, 64))
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert model.outputs.kind == "ordinal"
    with torch.no_grad():
        torch.testing.assert_close(model.module(x), network(x))
    torch.testing.assert_close(
        1 - model.probabilities(x)[:, 0], network(x)[:, 0].double().sigmoid(), atol=1e-5, rtol=0
    )


def test_gives_questions_of_their_own_if_asked_to(made, tmp_path):
    torch.save(made[1], tmp_path / "coral.pt")
    names = ["over none", "over mild", "over moderate"]
    model = xattn.load(
        tmp_path / "coral.pt", arch="resnet18", classes=names, outputs="sigmoid", size=(64, 64)
    )
    assert model.outputs.kind == "sigmoid"


def test_wants_a_name_for_every_grade(made, tmp_path):
    torch.save(made[1], tmp_path / "coral.pt")
    with pytest.raises(CheckpointError, match="Expected 4 classes"):
        xattn.load(tmp_path / "coral.pt", arch="resnet18", classes=GRADES[:3])
