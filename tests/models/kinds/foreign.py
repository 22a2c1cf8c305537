"""What other libraries and programs write, and what programs are exported to."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import Tensor, nn

from tests.models.files import State, prefixed
from tests.models.kinds.kind import (
    NAMED,
    PREDICTS,
    REFUSED,
    Build,
    Host,
    Kind,
    lively,
    logits_of,
)
from tests.models.kinds.trainings import network, saved
from tests.models.nets import CLASSES, Conv
from xattn.models.matching.heads import ConcatPool

_UNSAFE = {"unsafe_pickle": True}
_ONNX = ("onnxruntime", "onnxscript")
_CONVERTED = (*_ONNX, "onnx2torch")


def _learner() -> nn.Module:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=2)
    head = nn.Sequential(
        ConcatPool(), nn.Flatten(), nn.BatchNorm1d(1024), nn.Dropout(), nn.Linear(1024, 16),
        nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 2),
    )  # fmt: skip
    return lively(nn.Sequential(nn.Sequential(*list(net.children())[:-2]), head))


def _fastai(folder: Path) -> tuple[Path, Host]:
    net = _learner()
    torch.save({"model": net.state_dict(), "opt": {"state": []}}, folder / "stage-2.pth")
    return folder / "stage-2.pth", logits_of(net)


def _lukemelas(folder: Path) -> tuple[Path, Host]:
    torch.manual_seed(0)
    net = lively(timm.create_model("tf_efficientnet_b0", num_classes=2))
    torch.save(lukemelas(net), folder / "model.pth")
    return folder / "model.pth", logits_of(net)


def lukemelas(net: Any) -> State:
    """Name the weights of timm's EfficientNet as the package efficientnet-pytorch does."""
    blocks = [f"{i}.{j}" for i, stage in enumerate(net.blocks) for j in range(len(stage))]
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
             "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand",
             "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "se.conv_reduce": "_se_reduce",
             "se.conv_expand": "_se_expand", "conv_pw": "_project_conv", "bn2": "_bn2"}  # fmt: skip
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
             "classifier": "_fc"}  # fmt: skip
    state = {}
    for key, value in net.state_dict().items():
        path, _, end = key.rpartition(".")
        if path.startswith("blocks."):
            _, i, j, inner = path.split(".", 3)
            names = first if i == "0" else later
            state[f"_blocks.{blocks.index(f'{i}.{j}')}.{names[inner]}.{end}"] = value
        else:
            state[f"{outer[path]}.{end}"] = value
    return state


def _densenet(rename: Callable[[str], str]) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        torch.manual_seed(0)
        net = lively(torchvision.models.densenet121(num_classes=2))
        torch.save({rename(k): v for k, v in net.state_dict().items()}, folder / "model.pt")
        return folder / "model.pt", logits_of(net)

    return build


def _monai(key: str) -> str:
    import re

    key = re.sub(r"(denselayer\d+)\.", r"\1.layers.", key)
    return key.replace("classifier.", "class_layers.out.")


def _mmpretrain(state: State) -> Any:
    body = {f"backbone.{k}": v for k, v in state.items() if not k.startswith("fc.")}
    head = {f"head.{k}": v for k, v in state.items() if k.startswith("fc.")}
    meta = {"dataset_meta": {"classes": tuple(CLASSES)}, "epoch": 100, "cfg": "model = dict()"}
    return {"meta": meta, "state_dict": {**body, **head}, "message_hub": {}}


def _last_linear(state: State) -> State:
    return {k.replace("fc.", "last_linear."): v for k, v in state.items()}


class ClassificationModel(nn.Module):
    """Ultralytics' classifier as it is pickled: probabilities and logits side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()
        self.names = dict(enumerate(CLASSES))

    def forward(self, x: Tensor) -> Any:
        logits = self.model(x)
        return logits.softmax(1), logits


def _ultralytics(folder: Path) -> tuple[Path, Host]:
    for name in ("ultralytics", "ultralytics.nn", "ultralytics.nn.tasks"):  # pickle looks there
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["ultralytics.nn.tasks"].ClassificationModel = ClassificationModel
    ClassificationModel.__module__ = "ultralytics.nn.tasks"
    net = ClassificationModel().eval()
    content = {
        "epoch": -1,
        "model": net.half(),
        "ema": None,
        "optimizer": None,
        "train_args": {"imgsz": 64, "task": "classify", "model": "yolov8n-cls.pt"},
    }
    torch.save(content, folder / "best.pt")
    return folder / "best.pt", logits_of(net.float().model)


def _pickled(folder: Path) -> tuple[Path, Host]:
    net = network()
    torch.save(net, folder / "model.pth")
    return folder / "model.pth", logits_of(net)


def _script(net: nn.Module) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        traced = torch.jit.trace(lively(net), torch.randn(1, 3, 64, 64))
        torch.jit.save(traced, folder / "model.torchscript")
        return folder / "model.torchscript", logits_of(net)

    return build


def _grey() -> nn.Module:
    net = Conv()
    net.conv1 = nn.Conv2d(1, 6, 3, 2, 1)
    return net


def _onnx(net: nn.Module, channels: int = 3) -> Build:
    """Export a graph of fixed shapes: two images at once."""

    def build(folder: Path) -> tuple[Path, Host]:
        x = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0))
        _export(lively(net), (x,), folder / "model.onnx")
        host = logits_of(net)
        luma = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
        if channels == 1:
            return folder / "model.onnx", lambda x: host((x * luma).sum(1, keepdim=True))
        return folder / "model.onnx", host

    return build


def _export(net: nn.Module, given: Any, path: Path) -> None:
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            torch.onnx.export(net.eval(), given, str(path), dynamo=True)


class _OfTwo(nn.Module):
    """Image and age."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Conv()

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        return self.net(x) + age


def _onnx_of_two(folder: Path) -> tuple[Path, None]:
    given = (torch.randn(1, 3, 64, 64), torch.randn(1, 2))
    _export(_OfTwo(), given, folder / "model.onnx")
    return folder / "model.onnx", None


def _onnx_quantised(folder: Path) -> tuple[Path, Host]:
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic

    built, _ = _onnx(Conv())(folder)
    path = folder / "quantised.onnx"
    logging.disable(logging.WARNING)  # it advises on preparations
    quantize_dynamic(built, path)
    logging.disable(logging.NOTSET)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return path, lambda x: torch.from_numpy(session.run(None, {given.name: x.numpy()})[0])


class _OneByOne(Conv):
    """Fixes the number of images that it was exported with in its operations."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(len(x), 3, 64, 64).reshape(-1, 3, 64, 64)[: len(x)])


def _pt2(net: nn.Module, training: bool = False) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        program = torch.export.export(lively(net).train(training), (torch.randn(1, 3, 64, 64),))
        torch.export.save(program, folder / "model.pt2")
        return folder / "model.pt2", logits_of(net)

    return build


def _bytes(content: bytes, name: str = "model.pt") -> Build:
    def build(folder: Path) -> tuple[Path, None]:
        (folder / name).write_bytes(content)
        return folder / name, None

    return build


def _numpy(folder: Path) -> tuple[Path, None]:
    np.savez(folder / "weights.npz", a=np.ones(3))
    return folder / "weights.npz", None


_SHARDS = {"model": {"fc.weight": torch.empty(0, 3), "fc.bias": torch.empty(0)}}

KINDS = [
    Kind("PyTorch", "pickled network", _pickled, {**_UNSAFE, **NAMED}),
    Kind("PyTorch", "pickled network, unasked", _pickled, NAMED, REFUSED, "--unsafe-pickle"),
    Kind("Ultralytics", "classifier, `best.pt`", _ultralytics, _UNSAFE),
    Kind(
        "Ultralytics", "classifier, unasked", _ultralytics, verdict=REFUSED,
        because="--unsafe-pickle",
    ),
    Kind("fastai", "`learn.save`", _fastai, {"arch": "resnet18", **NAMED}),
    Kind(
        "efficientnet-pytorch", "state dict", _lukemelas, {"arch": "tf_efficientnet_b0", **NAMED}
    ),
    Kind("MONAI", "state dict of a DenseNet", _densenet(_monai), {"arch": "densenet121", **NAMED}),
    Kind("mmpretrain", "checkpoint", saved(_mmpretrain), {"arch": "test_resnet"}),
    Kind(
        "pretrainedmodels", "state dict", saved(_last_linear), {"arch": "test_resnet", **NAMED}
    ),
    Kind(
        "MoCo", "network beside another", saved(prefixed("module.encoder_q.")),
        {"arch": "test_resnet", **NAMED},
    ),
    Kind(
        "TorchScript", "traced network of timm", _script(network()),
        {"arch": "test_resnet", **NAMED},
    ),
    Kind("TorchScript", "traced network of nobody's", _script(Conv()), NAMED, PREDICTS),
    Kind(
        "torch.export", "program of a network of timm, `.pt2`", _pt2(network()),
        {"arch": "test_resnet", **NAMED},
    ),
    Kind(
        "torch.export", "program of nobody's, `.pt2`", _pt2(Conv()), {**_UNSAFE, **NAMED}
    ),
    Kind(
        "torch.export", "program of nobody's that takes one image", _pt2(_OneByOne()),
        {**_UNSAFE, **NAMED}, PREDICTS,
    ),
    Kind(
        "torch.export", "program of a network in training mode",
        _pt2(nn.Sequential(Conv(), nn.Dropout()), training=True), {**_UNSAFE, **NAMED}, REFUSED,
        "call eval() of the network before it is exported",
    ),
    Kind(
        "torch.export", "program of nobody's, unasked", _pt2(Conv()), NAMED, REFUSED,
        "with --unsafe-pickle its program predicts",
    ),
    Kind(
        "ONNX", "graph of a network of timm", _onnx(network()), NAMED, packages=_CONVERTED,
    ),
    Kind("ONNX", "graph of nobody's", _onnx(Conv()), NAMED, packages=_CONVERTED),
    Kind(
        "ONNX", "graph of one channel", _onnx(_grey(), 1), NAMED, packages=_CONVERTED
    ),
    Kind(
        "ONNX", "graph with quantised weights", _onnx_quantised, NAMED, PREDICTS, packages=_ONNX
    ),
    Kind(
        "ONNX", "graph of image and age", _onnx_of_two, NAMED, REFUSED, "but it takes x (1, 3",
        packages=_ONNX,
    ),
    Kind(
        "DeepSpeed", "shards", saved(lambda _: _SHARDS), NAMED, REFUSED, "its tensors are empty"
    ),
    Kind("Keras", "`.h5`", _bytes(b"\x89HDF\r\n\x1a\n" + bytes(64)), verdict=REFUSED,
         because="an HDF5 file"),
    Kind("TensorFlow", "`.tflite`", _bytes(b"\x1c\0\0\0TFL3" + bytes(64)), verdict=REFUSED,
         because="a TensorFlow Lite model"),
    Kind("NumPy", "`.npz`", _numpy, verdict=REFUSED, because="NumPy arrays"),
    Kind(
        "git", "pointer of Git LFS",
        _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 44779221\n"),
        verdict=REFUSED, because="a Git LFS pointer",
    ),
]  # fmt: skip
