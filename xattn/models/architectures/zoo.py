"""The architectures of the study: two networks, their hybrids and controls, and transformers."""

from __future__ import annotations

from typing import Any

from torch import nn

from xattn.models.architectures.blocks import BLOCKS, MEANINGS
from xattn.models.architectures.registry import architecture, build_hybrid, from_timm


@architecture("resnet18", family="convolutional")
def resnet18(n_classes: int, **options: Any) -> nn.Module:
    """ResNet-18 (He et al. 2016), keys as in torchvision and timm."""
    return from_timm("resnet18", n_classes, **options)


@architecture("efficientnet_b0", family="convolutional")
def efficientnet_b0(n_classes: int, **options: Any) -> nn.Module:
    """EfficientNet-B0 (Tan and Le 2019), keys as in timm."""
    return from_timm("efficientnet_b0", n_classes, **options)


@architecture("vit_tiny_patch16_224", family="transformer")
def vit_tiny(n_classes: int, **options: Any) -> nn.Module:
    """ViT-Tiny/16 (Dosovitskiy et al. 2021; Touvron et al. 2021), keys as in timm."""
    return from_timm("vit_tiny_patch16_224", n_classes, **options)


@architecture("vit_small_patch16_224", family="transformer")
def vit_small(n_classes: int, **options: Any) -> nn.Module:
    """ViT-Small/16 (Dosovitskiy et al. 2021; Touvron et al. 2021), keys as in timm."""
    return from_timm("vit_small_patch16_224", n_classes, **options)


@architecture("swin_tiny_patch4_window7_224", family="transformer")
def swin_tiny(n_classes: int, **options: Any) -> nn.Module:
    """Swin-Tiny (Liu et al. 2021), keys as in timm."""
    return from_timm("swin_tiny_patch4_window7_224", n_classes, **options)


def _register_hybrid(backbone: str, title: str, kind: str) -> None:
    @architecture(
        f"{backbone}-{kind}",
        family="control" if kind == "conv" else "hybrid",
        meaning=f"{title} with {MEANINGS[kind]} after chosen stages.",
    )
    def build(n_classes: int, **options: Any) -> nn.Module:
        return build_hybrid(backbone, kind, n_classes, **options)


for _backbone, _title in (("resnet18", "ResNet-18"), ("efficientnet_b0", "EfficientNet-B0")):
    for _kind in BLOCKS:
        _register_hybrid(_backbone, _title, _kind)
