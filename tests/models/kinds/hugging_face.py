"""Folders of the package transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.models.kinds.kind import NAMED, REFUSED, Build, Host, Kind, lively, logits_of

_LABELS = {
    "id2label": {0: "benign", 1: "malignant"},
    "label2id": {"benign": 0, "malignant": 1},
}
_VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
_SWIN = {
    "image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2],
    "window_size": 4,
}  # fmt: skip
_SQUARE = {"size": {"height": 32, "width": 32}}
_LARGER = {"size": {"height": 64, "width": 64}}
_CROPPED = {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}

NETWORKS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "ViT": ("ViT", _VIT, "ViT", _SQUARE),
    "DeiT, distilled": (
        "DeiT", _VIT, "DeiT",
        {"size": {"height": 36, "width": 36}, "crop_size": {"height": 32, "width": 32}},
    ),
    "Swin": ("Swin", _SWIN, "ViT", _LARGER),
    "Swin V2": ("Swinv2", _SWIN, "ViT", _LARGER),
    "ConvNeXt": (
        "ConvNext", {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}, "ConvNext",
        {"size": {"shortest_edge": 64}},
    ),
    "ConvNeXt V2": (
        "ConvNextV2", {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}, "ConvNext",
        {"size": {"shortest_edge": 384}},
    ),
    "ResNet": (
        "ResNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}, "ConvNext",
        {"size": {"shortest_edge": 64}},
    ),
    "RegNet": (
        "RegNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
                   "groups_width": 8}, "ConvNext", {"size": {"shortest_edge": 64}},
    ),
    "DINOv2": (
        "Dinov2", {**_VIT, "image_size": 64}, "Bit", _CROPPED,
    ),
    "DINOv2 with registers": (
        "Dinov2WithRegisters", {**_VIT, "image_size": 64, "num_register_tokens": 4}, "Bit",
        _CROPPED,
    ),
    "BEiT": (
        "Beit", {**_VIT, "use_relative_position_bias": True}, "Beit",
        {**_SQUARE, "do_center_crop": False},
    ),
    "Data2Vec": ("Data2VecVision", _VIT, "Beit", {**_SQUARE, "do_center_crop": False}),
    "MobileNetV1": ("MobileNetV1", {"depth_multiplier": 0.25}, "MobileNetV1", _CROPPED),
    "MobileNetV2": ("MobileNetV2", {"depth_multiplier": 0.25}, "MobileNetV2", _CROPPED),
    "EfficientNet": (
        "EfficientNet",
        {"width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320},
        "EfficientNet", _LARGER,
    ),
}  # fmt: skip
"""What it is: names of the classes for network and images, and what shapes them."""


def hugging_face(
    name: str, change: Callable[[Path, Any], None] | None = None, processor: bool = True
) -> Build:
    """Write the folder that `save_pretrained` writes."""

    def build(folder: Path) -> tuple[Path, Host]:
        import transformers

        network, shape, images, size = NETWORKS[name]
        config = getattr(transformers, f"{network}Config")(**shape, **_LABELS)
        ending = "ForImageClassification"
        ending += "WithTeacher" if name.startswith("DeiT") else ""
        torch.manual_seed(0)
        net = lively(getattr(transformers, network + ending)(config))
        net.save_pretrained(folder)
        if processor:
            getattr(transformers, f"{images}ImageProcessor")(**size).save_pretrained(folder)
        if change is not None:
            change(folder, net)
        return folder, logits_of(net)

    return build


def _edit(**changes: Any) -> Callable[[Path, Any], None]:
    def change(folder: Path, _net: Any) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


def _as_bin(folder: Path, net: Any) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(net.state_dict(), folder / "pytorch_model.bin")


def _in_shards(folder: Path, net: Any) -> None:
    (folder / "model.safetensors").unlink()
    net.save_pretrained(folder, max_shard_size="20KB")


def _of_trainer(folder: Path, _net: Any) -> None:
    torch.save({"state": {}}, folder / "optimizer.pt")
    torch.save({"lr": [0.1]}, folder / "scheduler.pt")
    (folder / "trainer_state.json").write_text('{"global_step": 500}')


def _of_features(folder: Path) -> tuple[Path, None]:
    import transformers

    transformers.ViTModel(transformers.ViTConfig(**_VIT)).save_pretrained(folder)
    return folder, None


def _of_patches(folder: Path) -> tuple[Path, None]:
    inner = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    said = {"model_type": "siglip2", "vision_config": inner, "text_config": inner, **_LABELS}
    said["architectures"] = ["Siglip2ForImageClassification"]
    (folder / "config.json").write_text(json.dumps(said))
    torch.save({"classifier.weight": torch.zeros(2, 8)}, folder / "pytorch_model.bin")
    return folder, None


def _adapter(folder: Path) -> tuple[Path, None]:
    torch.save({}, folder / "adapter_model.bin")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    return folder, None


def _wrapper_of_timm(folder: Path) -> tuple[Path, Host]:
    import transformers

    config = transformers.TimmWrapperConfig(architecture="test_resnet", **_LABELS)
    net = lively(transformers.TimmWrapperForImageClassification(config))
    net.save_pretrained(folder)
    shutil.rmtree(folder / "none", ignore_errors=True)
    return folder, logits_of(net)


def _row(what: str, build: Build, **more: Any) -> Kind:
    return Kind("transformers", what, build, packages=("transformers",), **more)


KINDS = [
    *(_row(f"folder: {name}", hugging_face(name)) for name in NETWORKS),
    _row("folder with `pytorch_model.bin`", hugging_face("ViT", _as_bin)),
    _row("folder with weights in shards", hugging_face("ViT", _in_shards)),
    _row("checkpoint folder of its `Trainer`", hugging_face("ResNet", _of_trainer)),
    _row("folder without an image processor", hugging_face("Swin", processor=False)),
    _row("folder that names no classes", hugging_face("ViT", _edit(
        id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1}
    )), options=NAMED),
    _row("wrapper of a network of timm", _wrapper_of_timm),
    _row(
        "folder whose `config.json` says another width",
        hugging_face("ViT", _edit(hidden_size=64)),
        verdict=REFUSED, because="of another shape",
    ),
    _row(
        "folder whose `config.json` says other classes",
        hugging_face("ViT", _edit(id2label={"0": "a", "1": "b", "2": "c"})),
        verdict=REFUSED, because="classifier.weight: (2, 32) instead of (3, 32)",
    ),
    _row(
        "folder that names a class twice",
        hugging_face("ViT", _edit(id2label={"0": "mole", "1": "mole"})),
        verdict=REFUSED, because="config.json beside it names 'mole' twice",
    ),
    _row(
        "folder of a type that nobody knows", hugging_face("ViT", _edit(model_type="my_net")),
        verdict=REFUSED, because="a configuration that transformers knows",
    ),
    _row(
        "folder of features without a classifier", _of_features,
        verdict=REFUSED, because="describes ViTModel, which gives no classes",
    ),
    _row(
        "folder: SigLIP 2, of patches", _of_patches,
        verdict=REFUSED, because="takes lists of patches with their places",
    ),
    _row("adapter (LoRA)", _adapter, verdict=REFUSED, because="an adapter without its model"),
]  # fmt: skip
