"""Programs opened into layers: the same outputs, the same maps, or a reason why not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import xattn
from tests.models.kinds.kind import lively
from tests.models.nets import CLASSES, Conv
from xattn.errors import CheckpointError
from xattn.models.checkpoints.opening import open_program
from xattn.models.checkpoints.programs import Program, read_program
from xattn.models.probing.steady import what_else_matters


class Tokens(nn.Module):
    """A convolution into tokens, attention among them, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, stride=16)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        tokens = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        mixed = torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v
        return self.head(mixed.mean(1))


def exported(net, path, n=1):
    torch.export.save(torch.export.export(net.eval(), (torch.randn(n, 3, 64, 64),)), path)
    return path


def test_maps_of_a_program_are_those_of_its_network(tmp_path):
    net = lively(Conv())
    path = exported(net, tmp_path / "model.pt2")
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    loaded = xattn.load(path, classes=CLASSES, unsafe_pickle=True, size=(64, 64))
    own = xattn.wrap(net, classes=CLASSES, preprocessing=loaded.preprocessing)
    for method in ("gradcam", "saliency"):
        ours, theirs = (
            xattn.attribute(m, x, method=method, target=1, upsample=True) for m in (loaded, own)
        )
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_graph_of_tokens_is_explained_at_no_projection(tmp_path):
    for package in ("onnxruntime", "onnx2torch"):
        pytest.importorskip(package)
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        lively(Tokens()), (torch.randn(1, 3, 64, 64),), str(path), dynamo=False,
        input_names=["x"], dynamic_axes={"x": {0: "n"}},
    )  # fmt: skip
    model = xattn.load(path, classes=CLASSES)
    assert model.target_layout.grid == (4, 4)
    assert not {"qkv", "head"} & set(model.target_layer.split("/"))
    assert any("by conversion of an ONNX graph" in note for note in model.source["notes"])


def test_a_conversion_with_other_outputs_is_not_used(tmp_path, monkeypatch):
    program = read_program(exported(lively(Conv()), tmp_path / "model.pt2"))
    other = exported(lively(Conv(), seed=1), tmp_path / "other.pt2")
    program.exported = torch.export.load(other)
    with pytest.raises(CheckpointError, match="outputs differ by"):
        open_program(program, (64, 64))


def test_what_cannot_be_opened_says_so():
    with pytest.raises(CheckpointError, match="no way is known to open a program"):
        open_program(Program(), (64, 64))


class TestWhatElseMatters:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def test_nothing_of_a_network_in_evaluation_mode(self):
        net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), nn.Flatten()).eval()
        assert what_else_matters(net, self.x) == ""

    def test_the_call(self):
        assert "from call to call" in what_else_matters(nn.Dropout(), self.x)

    def test_the_rest_of_the_batch(self):
        assert "rest of the batch" in what_else_matters(nn.BatchNorm2d(3), self.x)
