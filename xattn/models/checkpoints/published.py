"""The preprocessing that an architecture was published with, as timm and torchvision record it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from xattn.errors import XattnError
from xattn.images.preprocessing import Preprocessing, before_crop


def published(name: str, module: nn.Module) -> Preprocessing:
    """Return the preprocessing an architecture was published with, as far as it is recorded."""
    return published_by(name, module)[0]


def published_by(name: str, module: nn.Module) -> tuple[Preprocessing, str]:
    """Return the preprocessing an architecture was published with, and who says so in words."""
    library, _, bare = name.rpartition("/")
    if library == "torchvision":
        return _by_torchvision(bare), f"torchvision's published weights of {bare}"
    if type(module).__module__.startswith("ultralytics."):
        plain = Preprocessing(mode="crop", resize=224, mean=(0.0,) * 3, std=(1.0,) * 3)
        return plain, "Ultralytics, which scales to [0, 1] alone"
    for part in module.modules():
        config = getattr(part, "pretrained_cfg", None) or getattr(part, "default_cfg", None)
        if isinstance(config, Mapping) and "mean" in config:
            try:
                whose = config.get("architecture") or bare
                return _by_timm(config), f"timm's record of {whose}"
            except (XattnError, TypeError, ValueError):  # a module may carry anything there
                continue
    if any(type(part).__module__.startswith("torchvision.models") for part in module.modules()):
        return Preprocessing(mode="crop", resize=256), "torchvision's published weights"
    return Preprocessing(mode="crop", resize=256), "ImageNet, for nothing says them"


def _by_timm(config: Mapping[str, Any]) -> Preprocessing:
    _, height, width = config.get("input_size", (3, 224, 224))
    squash = config.get("crop_mode") == "squash"
    resize = before_crop((height, width), 1 / config.get("crop_pct", 0.875))
    return Preprocessing(
        size=(height, width),
        mode="squash" if squash else "crop",
        resize=None if squash else resize,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config.get("interpolation", "bilinear"),
    )


def _by_torchvision(name: str) -> Preprocessing:
    """Read off the architecture's first published weights."""
    import torchvision

    first = next(iter(torchvision.models.get_model_weights(name)))
    recorded = first.transforms()
    (size,), (resize,) = recorded.crop_size, recorded.resize_size
    return Preprocessing(
        size=(size, size),
        mode="crop",
        resize=resize,
        mean=tuple(recorded.mean),
        std=tuple(recorded.std),
        interpolation=recorded.interpolation.value,
    )
