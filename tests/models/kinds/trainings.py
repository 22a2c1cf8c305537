"""What timm, torchvision, Lightning and other trainings leave."""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tests.models.files import State, prefixed
from tests.models.kinds.kind import NAMED, REFUSED, Build, Host, Kind, lively, logits_of
from tests.models.nets import CLASSES
from xattn.images import Preprocessing
from xattn.models import save_checkpoint

_RESNET = {"arch": "test_resnet", **NAMED}


def network(name: str = "test_resnet", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return lively(timm.create_model(name, num_classes=2, **options))


def saved(
    content: Callable[[State], Any] = dict, name: str = "test_resnet", file: str = "model.pt",
    **options: Any,
) -> Build:  # fmt: skip
    """Write what a training makes of the state dict of a network of timm."""

    def build(folder: Path) -> tuple[Path, Host]:
        net = network(name, **options)
        torch.save(content(net.state_dict()), folder / file)
        return folder / file, logits_of(net)

    return build


GRADES = ["none", "mild", "moderate", "severe"]


def _coral(folder: Path) -> tuple[Path, Host]:
    """Write what coral-pytorch's layer keeps: one row of weights, and a bias of each threshold.

    The host's logits are those of the grades, as its `proba_to_label` reads the thresholds.
    """
    torch.manual_seed(0)
    net = lively(timm.create_model("test_resnet", num_classes=3))
    weight, bias = torch.randn(1, net.num_features), torch.tensor([1.0, 0.2, -0.7])
    with torch.no_grad():
        net.fc.weight.copy_(weight.repeat(3, 1))
        net.fc.bias.copy_(bias)
    rest = {k: v for k, v in net.state_dict().items() if not k.startswith("fc.")}
    torch.save({**rest, "fc.coral_weights.weight": weight, "fc.coral_bias": bias}, folder / "c.pt")
    thresholds = logits_of(net)

    def host(x: Tensor) -> Tensor:
        above = thresholds(x).double().sigmoid()
        ends = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        return (-torch.cat([ends[0], above, ends[1]], dim=1).diff(dim=1)).log()

    return folder / "c.pt", host


def _timm_folder(folder: Path, **config: Any) -> tuple[Path, Host]:
    net = network()
    safetensors.torch.save_file(net.state_dict(), folder / "model.safetensors")
    said = {
        "architecture": "test_resnet", "num_classes": 2, "pretrained_cfg": net.pretrained_cfg,
        **config,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(said, default=str))
    return folder, logits_of(net)


def _named(folder: Path) -> tuple[Path, Host]:
    return _timm_folder(folder, label_names=CLASSES)


def _by_local_dir(folder: Path) -> tuple[Path, Host]:
    built, host = _named(folder)
    return Path(f"local-dir:{built}"), host


def _from_cache(folder: Path) -> tuple[Path, Host]:
    """Lay a repository out as the hub's cache does; nothing is fetched."""
    import huggingface_hub.constants as constants

    cache = Path(constants.HF_HUB_CACHE)  # the test has put it into its own folder
    root = cache / "models--clinic--moles"
    commit = "0" * 40
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    (root / "snapshots" / commit).mkdir(parents=True)
    _, host = _named(root / "snapshots" / commit)
    return Path("hf-hub:clinic/moles"), host


def _of_train_py(state: State) -> Any:
    args = argparse.Namespace(model="test_resnet", num_classes=2, class_map="", lr=0.1)
    older = {k: v * 0.5 for k, v in state.items()}
    return {"epoch": 3, "arch": "test_resnet", "state_dict": older, "state_dict_ema": state,
            "args": args, "metric": 0.9, "optimizer": {}}  # fmt: skip


def _torchvision(content: Callable[[State], Any]) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        torch.manual_seed(0)
        net = lively(torchvision.models.mobilenet_v3_small(num_classes=2))
        torch.save(content(net.state_dict()), folder / "model_9.pth")
        return folder / "model_9.pth", logits_of(net)

    return build


def _reference(state: State) -> Any:
    args = argparse.Namespace(model="mobilenet_v3_small", val_crop_size=64, val_resize_size=72)
    return {"model": state, "optimizer": {}, "lr_scheduler": {}, "epoch": 9, "args": args}


def _lightning(hyper: Any, prefix: str = "model.") -> Callable[[State], Any]:
    return lambda state: {
        "state_dict": prefixed(prefix)(state),
        "hyper_parameters": hyper,
        "pytorch-lightning_version": "2.6.6",
        "epoch": 4, "global_step": 100, "loops": {}, "callbacks": {}, "optimizer_states": [],
        "lr_schedulers": [],
    }  # fmt: skip


def _by_lightning(folder: Path) -> tuple[Path, Host]:
    """Let the library write it: a module that keeps its arguments, after one step."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self, model_name: str, class_names: list[str], lr: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = network(model_name).train()

        def training_step(self, batch: Any, _index: int) -> Tensor:
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e-4)

    module = Module("test_resnet", CLASSES, 0.1)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.randn(2, 3, 64, 64)), batch_size=2
    )
    trainer = lightning.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on workers and intervals
        trainer.fit(module, loader)
    trainer.save_checkpoint(folder / "last.ckpt")
    return folder / "last.ckpt", logits_of(copy.deepcopy(module.net))


def _hparams_beside(folder: Path) -> tuple[Path, Host]:
    (folder / "checkpoints").mkdir()
    (folder / "hparams.yaml").write_text(
        f"arch: test_resnet\nclasses:\n- {CLASSES[0]}\n- {CLASSES[1]}\n"
    )
    net = network()
    path = folder / "checkpoints" / "epoch=3.ckpt"
    torch.save({"state_dict": prefixed("net.")(net.state_dict())}, path)
    return path, logits_of(net)


def _own(file: str) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        net = network()
        save_checkpoint(
            folder / file, net, architecture="test_resnet", classes=CLASSES,
            preprocessing=Preprocessing(size=(64, 64)),
        )  # fmt: skip
        return folder / file, logits_of(net)

    return build


def _safetensors(folder: Path) -> tuple[Path, Host]:
    net = network()
    safetensors.torch.save_file(net.state_dict(), folder / "weights.safetensors")
    return folder, logits_of(net)


def _averaged(folder: Path) -> tuple[Path, Host]:
    net = network()
    average = AveragedModel(net)
    average.update_parameters(net)
    torch.save(average.state_dict(), folder / "swa.pt")
    return folder / "swa.pt", logits_of(average.module)


def _with_head(layers: Callable[[int], nn.Module]) -> Build:
    def build(folder: Path) -> tuple[Path, Host]:
        net = network()
        net.fc = layers(net.fc.in_features)
        lively(net)
        torch.save(net.state_dict(), folder / "model.pt")
        return folder / "model.pt", logits_of(net)

    return build


def _one_channel(folder: Path) -> tuple[Path, Host]:
    net = network(in_chans=1)
    torch.save(net.state_dict(), folder / "xray.pt")
    luma = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    inner = logits_of(net)
    return folder / "xray.pt", lambda x: inner((x * luma).sum(1, keepdim=True))


def _normalised_inside(state: State) -> State:
    shape = (1, 3, 1, 1)
    return {
        "normalize.mean": torch.full(shape, 0.6), "normalize.std": torch.full(shape, 0.2),
        **prefixed("net.")(state),
    }  # fmt: skip


def _classes_inside(state: State) -> Any:
    index = {name: i for i, name in enumerate(CLASSES)}
    return {"model_state_dict": state, "arch": "test_resnet", "class_to_idx": index}


def _three_names(state: State) -> Any:
    return {"state_dict": state, "classes": ["a", "b", "c"], "arch": "test_resnet"}


KINDS = [
    Kind("xattn", "checkpoint, `.pt`", _own("model.pt")),
    Kind("xattn", "checkpoint, `.safetensors`", _own("model.safetensors")),
    Kind("timm", "folder with `label_names`", _named),
    Kind("timm", "folder without names of classes", _timm_folder, NAMED),
    Kind("timm", "`local-dir:` before a folder", _by_local_dir),
    Kind("timm", "`hf-hub:` name, in the cache", _from_cache),
    Kind("timm", "checkpoint of its `train.py`, with EMA", saved(_of_train_py), NAMED),
    Kind("timm", "state dict", saved(), _RESNET),
    Kind(
        "timm", "state dict of a ViT with registers, average pooling and `fc_norm`",
        saved(name="test_vit", reg_tokens=4, global_pool="avg"), {"arch": "test_vit", **NAMED},
    ),
    Kind("torchvision", "state dict", _torchvision(dict), {"arch": "mobilenet_v3_small", **NAMED}),
    Kind("torchvision", "checkpoint of its reference training", _torchvision(_reference), NAMED),
    Kind("Lightning", "checkpoint with `hyper_parameters`", _by_lightning),
    Kind(
        "Lightning", "checkpoint with nested `hyper_parameters`",
        saved(_lightning({"model": {"backbone": "test_resnet"}, "data": {"labels": CLASSES}})),
    ),
    Kind(
        "Lightning", "checkpoint with a namespace",
        saved(_lightning(argparse.Namespace(encoder_name="test_resnet", class_names=CLASSES))),
    ),
    Kind("Lightning", "checkpoint with `hparams.yaml` beside it", _hparams_beside),
    Kind(
        "Lightning", "checkpoint that names nothing", saved(_lightning({"lr": 0.1})), _RESNET
    ),
    Kind(
        "Lightning", "checkpoint whose names are too many", saved(_three_names),
        verdict=REFUSED, because="names 3: a, b, c",
    ),
    Kind("PyTorch", "state dict with `class_to_idx` beside it", saved(_classes_inside)),
    Kind("PyTorch", "safetensors in a folder", _safetensors, _RESNET),
    Kind("PyTorch", "state dict of `DataParallel`", saved(prefixed("module.")), _RESNET),
    Kind("PyTorch", "state dict of a compiled network", saved(prefixed("_orig_mod.")), _RESNET),
    Kind(
        "PyTorch", "state dict of FSDP", saved(prefixed("_fsdp_wrapped_module.")), _RESNET
    ),
    Kind("PyTorch", "average (`AveragedModel`, SWA)", _averaged, _RESNET),
    Kind(
        "ema-pytorch", "online and averaged weights",
        saved(lambda s: {**prefixed("online_model.")({k: v * 0.5 for k, v in s.items()}),
                         **prefixed("ema_model.")(s), "initted": torch.tensor(True)}), _RESNET,
    ),
    Kind(
        "PyTorch", "head `Sequential(Dropout, Linear)`",
        _with_head(lambda n: nn.Sequential(nn.Dropout(), nn.Linear(n, 2))), _RESNET,
    ),
    Kind(
        "PyTorch", "head `Sequential(Linear, ReLU, Dropout, Linear)`",
        _with_head(lambda n: nn.Sequential(
            nn.Linear(n, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))), _RESNET,
    ),
    Kind("PyTorch", "network of one channel", _one_channel, _RESNET),
    Kind("PyTorch", "network of four channels", saved(in_chans=4), _RESNET),
    Kind(
        "coral-pytorch", "state dict with a `CoralLayer`", _coral,
        {"arch": "test_resnet", "classes": GRADES},
    ),
    Kind(
        "timm", "ViT with SwiGLU",
        saved(name="test_vit", mlp_layer=timm.layers.SwiGLUPacked, mlp_ratio=4.0),
        {"arch": "test_vit", **NAMED},
    ),
    Kind(
        "timm", "ViT of six channels", saved(name="test_vit", in_chans=6),
        {"arch": "test_vit", **NAMED},
    ),
    Kind("PyTorch", "network that normalises inside", saved(_normalised_inside), _RESNET),
    Kind("PyTorch", "state dict without a name", saved(), NAMED, REFUSED, "Expected --arch"),
]  # fmt: skip
