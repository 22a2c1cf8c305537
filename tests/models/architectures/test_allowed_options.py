"""A checkpoint from anywhere: nothing that it says loads, fetches, runs or fills the memory."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from tests.models.nets import CLASSES
from xattn.errors import CheckpointError, UsageError, XattnError
from xattn.images import Preprocessing
from xattn.models import load
from xattn.models.architectures.allowed_options import check_options
from xattn.models.checkpoints.checkpoint import SCHEMA


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        pytest.fail("an address was contacted")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


class Bomb:
    """Leaves a file if it is unpickled by code that runs what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def written(path: Path, net: nn.Module, **changes: Any) -> Path:
    """Write an own checkpoint as nobody's code would: any facts, unchecked."""
    facts = {
        "schema": SCHEMA, "architecture": "test_resnet", "options": {}, "classes": CLASSES,
        "preprocessing": Preprocessing((64, 64)).to_dict(), "extra": {}, **changes,
    }  # fmt: skip
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path, {"xattn": json.dumps(facts)})
    else:
        torch.save({**facts, "state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return timm.create_model("test_resnet", num_classes=2).eval()


HOSTILE = {
    "checkpoint_path": "second.pt",
    "pretrained": True,
    "pretrained_cfg": {"url": "http://127.0.0.1:9/x", "hf_hub_id": "a/b"},
    "pretrained_cfg_overlay": {"file": "second.pt"},
    "cache_dir": "elsewhere/cache",
    "features_only": True,
    "block": "anything",
    "depth": 10**9,
    "depths": [3] * 1000,
    "img_size": 10**6,
    "window_size": 4096,
    "embed_dim": 2**40,
    "drop_rate": float("1e308"),
    "stages": [10**9],
    "num_heads": "8",
    "act_layer": "../../etc/passwd",
    "in_chans": 10**6,
}


@pytest.mark.parametrize("option", HOSTILE)
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("arch", ["test_resnet", "torchvision/resnet18", "resnet18-ga"])
def test_no_option_loads_fetches_hangs_or_fills(tmp_path, net, option, ending, arch):
    ran = tmp_path / "ran"
    torch.save({"state_dict": Bomb(ran)}, tmp_path / "second.pt")
    value = HOSTILE[option]
    if value == "second.pt":
        value = str(tmp_path / value)
    path = written(tmp_path / f"m{ending}", net, architecture=arch, options={option: value})
    before = time.perf_counter()
    with pytest.raises(XattnError) as error:
        load(path)
    assert time.perf_counter() - before < 30
    assert "\n" not in str(error.value)
    assert not ran.exists()


@pytest.mark.parametrize(
    "name",
    ["hf-hub:timm/resnet18.a1_in1k", "hf_hub:a/b", "local-dir:/tmp", "http://127.0.0.1/x",
     "../resnet18", "timm/hf-hub:a", "", 7, None, ["resnet18"], "resnet18\n"],
)  # fmt: skip
def test_no_name_leads_elsewhere(tmp_path, net, name):
    with pytest.raises((CheckpointError, UsageError)):
        load(written(tmp_path / "m.pt", net, architecture=name))


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": "benign"},
        {"classes": [1, 2]},
        {"classes": []},
        {"classes": {"a": 1}},
        {"options": [1]},
        {"options": {3: 4}},
        {"preprocessing": [1]},
        {"preprocessing": {"size": "big"}},
        {"preprocessing": {"size": [10**9, 10**9]}},
        {"preprocessing": {"size": [64]}},
        {"preprocessing": {"size": [64, 64], "mode": "crop", "resize": 10**9}},
        {"preprocessing": {"std": [0, 1, 1]}},
        {"preprocessing": {"mean": [0.5]}},
        {"preprocessing": {"mean": [float("nan")] * 3}},
        {"preprocessing": {"colour": 1}},
    ],
    ids=str,
)
def test_facts_of_a_wrong_type_are_one_line(tmp_path, net, changes):
    with pytest.raises(XattnError) as error:
        load(written(tmp_path / "m.pt", net, **changes))
    assert "\n" not in str(error.value)


def test_a_record_nested_without_end_is_one_line(tmp_path, net):
    state = dict(net.state_dict())
    safetensors.torch.save_file(state, tmp_path / "m.safetensors", {"xattn": "[" * 100_000})
    with pytest.raises(CheckpointError):
        load(tmp_path / "m.safetensors")


def test_weights_that_do_not_agree_are_refused_before_memory_is_taken(tmp_path, net):
    path = written(tmp_path / "m.pt", net, architecture="timm/vit_giant_patch14_224")
    with pytest.raises(CheckpointError, match=r"does not fill timm/vit_giant"):
        load(path)


def test_a_mapping_within_itself_ends(tmp_path, net):
    content: dict[str, Any] = {"state_dict": net.state_dict()}
    content["self"] = content
    torch.save(content, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt", arch="test_resnet", classes=CLASSES).classes == CLASSES


@pytest.mark.parametrize("where", ["args", "extra", "hyper_parameters"])
def test_pickled_code_beside_the_weights_never_runs(tmp_path, net, where):
    torch.save({"state_dict": net.state_dict(), where: Bomb(tmp_path / "ran")}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="--unsafe-pickle"):
        load(tmp_path / "m.pt", arch="test_resnet", classes=CLASSES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("resnet18-ga", {"stages": [3, 4], "heads": 4, "position": "relative"}),
        ("efficientnet_b0-conv", {"match": "ga", "stages": [5]}),
        ("vit_tiny_patch16_224", {"img_size": 128, "drop_path_rate": 0.1}),
        ("swin_tiny_patch4_window7_224", {"img_size": [128, 96], "window_size": 8}),
        ("torchvision/inception_v3", {"transform_input": True, "aux_logits": False}),
    ],
)
def test_what_only_shapes_the_network_passes(architecture, options):
    check_options(architecture, options, "m.pt")
