"""Where mean, standard deviation and size of a checkpoint's inputs are from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from torch import nn

from tests.models.nets import CLASSES
from xattn.images import Preprocessing
from xattn.models import load
from xattn.models.checkpoints.published import published_by

HALF = (0.5, 0.5, 0.5)
NET = "test_resnet"


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return timm.create_model(NET, num_classes=2).eval()


def read(path: Path, **options: Any) -> Any:
    return load(path, arch=NET, classes=CLASSES, **options)


CONFIG = {"mean": [0.5] * 3, "std": [0.25] * 3, "input_size": [3, 64, 64], "crop_pct": 1.0,
          "crop_mode": "squash", "interpolation": "bicubic"}  # fmt: skip
BESIDE = {
    "config.json": {"architecture": NET, "pretrained_cfg": CONFIG},
    "args.yaml": {"model": NET, "mean": [0.5] * 3, "std": [0.25] * 3, "img_size": 64},
    "hparams.yaml": {"data": {"image_size": [64, 64], "mean": [0.5] * 3, "std": [0.25] * 3}},
    "preprocessor_config.json": {
        "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3,
        "size": {"height": 64, "width": 64},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_a_record_beside_the_file_is_read(tmp_path, net, name):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    dump = json.dumps if name.endswith("json") else yaml.safe_dump
    (tmp_path / name).write_text(dump(BESIDE[name]))
    model = read(tmp_path / "model.pt")
    assert (model.preprocessing.mean, model.preprocessing.std) == (HALF, (0.25,) * 3)
    assert model.preprocessing.size == (64, 64)
    assert model.source["normalisation"] == f"{name} beside it"


INSIDE = {
    "args": argparse.Namespace(model=NET, mean=[0.5] * 3, std=[0.25] * 3, img_size=64),
    "hyper_parameters": {"transform": {"mean": HALF, "std": (0.25,) * 3}, "image_size": 64},
    "config": {"MEAN": None, "mean": [127.5] * 3, "std": [63.75] * 3, "input_size": [64, 64]},
    "pretrained_cfg": CONFIG,
}


@pytest.mark.parametrize("key", INSIDE)
def test_a_record_inside_the_file_goes_before_one_beside_it(tmp_path, net, key):
    torch.save({"state_dict": net.state_dict(), key: INSIDE[key]}, tmp_path / "model.pt")
    other = {"mean": [0.1] * 3, "std": [0.1] * 3}
    (tmp_path / "config.json").write_text(json.dumps(other))
    model = read(tmp_path / "model.pt")
    assert model.preprocessing.mean == HALF
    assert model.preprocessing.std == (0.25,) * 3
    assert model.preprocessing.size == (64, 64)
    assert model.source["normalisation"] == f"the checkpoint's {key}"


def test_buffers_that_normalise_are_a_record(tmp_path, net):
    state = {f"net.{k}": v for k, v in net.state_dict().items()}
    state |= {
        "data_preprocessor.mean": torch.full((3, 1, 1), 127.5),
        "data_preprocessor.std": torch.full((3, 1, 1), 63.75),
    }
    torch.save(state, tmp_path / "model.pt")
    model = read(tmp_path / "model.pt")
    assert (model.preprocessing.mean, model.preprocessing.std) == (HALF, (0.25,) * 3)
    assert "buffers data_preprocessor.mean" in model.source["normalisation"]


def test_a_record_that_says_no_normalisation_is_believed(tmp_path, net):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    record = {"do_normalize": False, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(record))
    pre = read(tmp_path / "model.pt").preprocessing
    assert (pre.mean, pre.std) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("beside", [None, {"input_size": [3, 96, 96]}], ids=["bare", "record"])
def test_the_callers_size_goes_before_every_record(tmp_path, net, beside):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    if beside:
        (tmp_path / "config.json").write_text(json.dumps(beside))
    pre = read(tmp_path / "model.pt", size=(80, 120)).preprocessing
    assert pre.size == (80, 120)
    assert isinstance(pre.resize, tuple)
    margins = [scaled / cut for scaled, cut in zip(pre.resize, pre.size, strict=True)]
    assert margins == pytest.approx([1.05, 1.05], abs=0.02)  # timm's, of this architecture


@pytest.mark.parametrize(
    "content",
    [
        {"architecture": "resnet50", "mean": [0.5] * 3, "std": [0.5] * 3},
        {"auc": {"mean": 0.9, "std": 0.1}},
        {"mean": [0.5] * 3},
        {"mean": [0.5] * 3, "std": [0, 0, 0]},
        {"mean": "half", "std": [1, 2]},
        {"image_size": 10**9},
        [1, 2, 3],
    ],
    ids=["of another architecture", "scores", "no std", "std of 0", "words", "a huge size", "list"],
)
def test_what_is_no_record_of_it_is_passed_over(tmp_path, net, content):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    (tmp_path / "config.json").write_text(json.dumps(content))
    model = read(tmp_path / "model.pt")
    assert model.preprocessing == published_by(NET, net)[0]
    assert model.source["normalisation"] == f"timm's record of {NET}"


def test_a_damaged_record_is_passed_over(tmp_path, net):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    (tmp_path / "config.json").write_bytes(b"\xff{")
    (tmp_path / "args.yaml").write_text("a: [")
    assert read(tmp_path / "model.pt").source["normalisation"] == f"timm's record of {NET}"


@pytest.mark.parametrize("where", ["beside", "inside"])
@pytest.mark.parametrize(
    ("problem", "kind", "noted"),
    [
        ("multi_label_classification", "sigmoid", False),
        ("single_label_classification", "softmax", False),
        ("regression", "value", False),
        (7, "softmax", True),
    ],
)
def test_what_the_outputs_are_may_come_from_the_record(tmp_path, where, problem, kind, noted):
    content: dict[str, Any] = {"state_dict": timm.create_model(NET, num_classes=3).state_dict()}
    if where == "beside":
        (tmp_path / "config.json").write_text(json.dumps({"problem_type": problem}))
    else:
        content["config"] = {"problem_type": problem}
    torch.save(content, tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=NET, classes=["a", "b", "c"])
    assert model.outputs.kind == kind
    assert ("which the checkpoint does not say" in model.outputs_note) == noted
    asked = load(tmp_path / "model.pt", arch=NET, classes=["a", "b", "c"], outputs="softmax")
    assert asked.outputs.kind == "softmax"


@pytest.mark.parametrize("said", [["age"], None])
def test_a_regression_has_one_name_or_none(tmp_path, said):
    torch.save(timm.create_model(NET, num_classes=1).state_dict(), tmp_path / "model.pt")
    (tmp_path / "config.json").write_text(json.dumps({"problem_type": "regression"}))
    model = load(tmp_path / "model.pt", arch=NET, classes=said)
    assert model.classes == (said or ["value"])
    assert (model.outputs.kind, model.outputs.given) == ("value", 1)


def test_architecture_and_classes_may_come_from_the_record(tmp_path, net):
    torch.save(net.state_dict(), tmp_path / "model.pt")
    record = {"architecture": NET, "label_names": ["a", "b"]}
    (tmp_path / "config.json").write_text(json.dumps(record))
    model = load(tmp_path / "model.pt")
    assert (model.architecture.removeprefix("timm/"), model.classes) == (NET, ["a", "b"])
    assert model.source["notes"] == [
        f"architecture {NET}: config.json beside it",
        "classes a, b: config.json beside it",
    ]


@pytest.mark.parametrize("wrap", [nn.DataParallel, nn.Sequential], ids=["parallel", "sequence"])
def test_a_wrapped_modules_own_record_is_found(tmp_path, net, wrap):
    torch.save(wrap(net), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", classes=CLASSES, unsafe_pickle=True)
    assert model.preprocessing == published_by(NET, net)[0]
    assert model.source["normalisation"] == f"timm's record of {NET}"


def test_where_nothing_says_them_it_is_said(tmp_path):
    found, source = published_by("custom", nn.Linear(2, 2))
    assert found == Preprocessing(mode="crop", resize=256)
    assert source == "ImageNet, for nothing says them"
