"""Networks small enough to be built and run in milliseconds, each with one trait under test."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xattn.images import Preprocessing
from xattn.models import Model, wrap

SIZE = (32, 48)
CLASSES = ["benign", "malignant"]


class Conv(nn.Module):
    """Two convolutions with batch norm and in-place ReLU, averaged: grid 8 x 12."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, 2, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 2, 1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


class Tokens(nn.Module):
    """A class token and `torch.nn.MultiheadAttention` before a linear head, all parts in sight."""

    def __init__(self, width: int = 8, heads: int = 2, **attention: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True, **attention)
        self.mlp = nn.Linear(width, width)
        self.head = nn.Linear(width, 2)

    def tokens(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), x], 1)

    def attend(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        x = x + self.attend(self.norm(x))
        x = x + F.gelu(self.mlp(x))
        return self.head(x[:, 0])


class Brightness(nn.Module):
    """Logits (b, -b) of the mean brightness b, read off a grid of 8 x 8 pixel cells.

    Its Grad-CAM for class 0 is the mean brightness of each cell, times a constant.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 1, 8, 8, bias=False)
        nn.init.constant_(self.cells.weight, 1 / (3 * 8 * 8))

    def forward(self, x: Tensor) -> Tensor:
        mean = self.cells(x).mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)


def evenly(module: nn.Module) -> nn.Module:
    """Give all convolutions one positive weight: a cell then looks alike to all sides."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                part.weight.fill_(1 / part.weight[0].numel())
                if part.bias is not None:
                    part.bias.fill_(10.0)  # no unit is ever off
    return module


def plain(size: tuple[int, int] = SIZE, **options: object) -> Preprocessing:
    """Inputs are pixel values in [0, 1], squashed to `size`."""
    return Preprocessing(size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), **options)


def wrapped(module: nn.Module, size: tuple[int, int] = SIZE, **options: object) -> Model:
    """Wrap a net of two classes for inputs of `size`."""
    return wrap(module, classes=CLASSES, preprocessing=plain(size), **options)


def vit(size: tuple[int, int] = SIZE, **options: object) -> nn.Module:
    """timm's ViT with patches of 8 pixels, two blocks, 16 wide."""
    from timm.models.vision_transformer import VisionTransformer

    options = {"embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 2, **options}
    return VisionTransformer(img_size=size, patch_size=8, **options).eval()


def torchvision_vit(size: int = 32) -> nn.Module:
    """torchvision's ViT with patches of 8 pixels, two blocks, 16 wide, its zero head filled."""
    from torchvision.models import VisionTransformer

    net = VisionTransformer(
        image_size=size, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=2,
    )  # fmt: skip
    nn.init.normal_(net.heads.head.weight)
    return net.eval()


def swin(size: int = 32) -> nn.Module:
    """timm's Swin with two stages of one block, 16 wide: last grid 4 x 4, channels last."""
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        img_size=size, patch_size=4, window_size=4, embed_dim=16, depths=(1, 1),
        num_heads=(1, 2), num_classes=2,
    ).eval()  # fmt: skip


def with_statistics(module: nn.Module) -> nn.Module:
    """Give batch norms statistics other than 0 and 1, so that train and eval mode differ."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return module
