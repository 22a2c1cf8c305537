"""The slow, obvious way to find what a cell looks at: move a small patch over the image.

What a trained or random network's cell responds to is wide, a few hundred pixels across, and cut
off where the image ends, so the middle of the response at a border says how wide the field is and
not where it lies. The networks here keep their architecture, that is every stride, padding and
crop, but their kernels weigh the middle tap most: fields are narrow, and the middle of the
response is the place. Gates of squeeze-and-excitation, which are global, keep the values that they
had without the patch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from xattn.images import Cells
from xattn.models.architectures.hybrids import make_hybrid
from xattn.models.probing.probe import Layout

Size = tuple[int, int]

SIDE, STEP = 8, 4
"""Pixels of the patch, and of its steps."""

NARROW = (16, 32, 64, 128)
"""Channels of a ResNet's stages here; strides, paddings and depth are the architecture's."""

MIXED = 2.0
"""Pixels on average by which a place may be off where cells see the whole image; else 1."""

PLAIN = 1.0


def _timm(name: str, **options: Any) -> Callable[[Size], nn.Module]:
    return lambda size: timm.create_model(name, num_classes=2, **options)


def _sized(name: str, **options: Any) -> Callable[[Size], nn.Module]:
    return lambda size: timm.create_model(name, num_classes=2, img_size=size, **options)


def _hybrid(kind: str) -> Callable[[Size], nn.Module]:
    return lambda size: make_hybrid(_timm("resnet18", channels=NARROW)(size), kind)


def _vgg16(size: Size) -> nn.Module:
    narrow = [v if v == "M" else int(v) // 4 for v in cfgs["D"]]
    features = make_layers(narrow)
    for part in features:
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 2))
    return nn.Sequential(features, head)


NETWORKS: dict[str, tuple[Callable[[Size], nn.Module], float]] = {
    "resnet18": (_timm("resnet18", channels=NARROW), PLAIN),
    "resnet50": (_timm("resnet50", channels=NARROW), PLAIN),
    "efficientnet_b0": (_timm("efficientnet_b0"), MIXED),
    "mobilenetv3_large_100": (_timm("mobilenetv3_large_100"), MIXED),
    "convnext_tiny": (_timm("convnext_tiny", dims=(16, 32, 64, 128)), PLAIN),
    "densenet121": (_timm("densenet121", growth_rate=8), PLAIN),
    "vgg16": (_vgg16, PLAIN),
    "swin_tiny": (_sized("swin_tiny_patch4_window7_224", embed_dim=24), MIXED),
    "vit_tiny": (_sized("vit_tiny_patch16_224", embed_dim=48), MIXED),
    "resnet18-ga": (_hybrid("ga"), MIXED),
    "resnet18-la": (_hybrid("la"), MIXED),
    "resnet18-ela": (_hybrid("ela"), MIXED),
}
"""Each with how far off its places may be; widths are reduced where that leaves the geometry."""

BLUNT = {"vgg16": 2, "convnext_tiny": 2}
"""Cells of these answer alike wherever the patch is within their field, as far as the image behind
it lets them: its chance is averaged over so many times the images."""

SIZES: tuple[Size, ...] = ((96, 96), (112, 144), (128, 128), (224, 224), (225, 225))


def make(name: str, size: Size) -> nn.Module:
    """Build a network whose cells look at narrow fields."""
    torch.manual_seed(0)
    module = NETWORKS[name][0](size).eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)  # some libraries begin with zeros
            if isinstance(part, nn.Conv2d) and part.kernel_size != part.stride:
                part.weight.mul_(_middle(part.kernel_size))
        for key, parameter in module.named_parameters():
            if key.endswith("gate"):
                parameter.fill_(0.25)  # the study's blocks, open
            if key.endswith(".gamma"):
                parameter.fill_(1.0)  # of ConvNeXt, which begins at 1e-6
    return module


def _middle(kernel: tuple[int, ...], others: float = 0.02) -> Tensor:
    weights = torch.full(kernel, others)
    weights[tuple(slice((k - 1) // 2, k // 2 + 1) for k in kernel)] = 1.0
    return weights / weights.square().mean().sqrt()


@torch.no_grad()
def looked_at(
    module: nn.Module, layer: str, layout: Layout, size: Size, near: Cells, images: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the rows and columns of pixels that a layer's cells respond to.

    Args:
        module: in evaluation mode.
        layer, layout: of the map.
        size: (height, width) of the input.
        near: says which cells a patch that moves along one axis should be watched at.
        images: over how many random images the responses are added.

    Returns:
        Centroids (h,) and (w,), in pixels; less what a patch anywhere does to a cell.
    """
    found = []
    for axis in (0, 1):
        across = (near.x, near.y)[axis]
        middle = len(across) // 2
        beside = int(np.clip(round(across[middle]), SIDE // 2, size[1 - axis] - SIDE // 2))
        moment = total = 0
        for seed in range(images):
            # Steps begin elsewhere for each image: together they are finer than one step.
            starts = np.arange(1 - SIDE + seed * STEP // images, size[axis], STEP)
            energy = np.zeros((len(starts), layout.grid[axis]))
            generator = torch.Generator().manual_seed(seed)
            plain = 0.1 * torch.randn(1, 3, *size, generator=generator)
            colour = 3 * torch.randn(3, 1, 1, generator=generator)
            with _Watch(module, layer, layout) as watch:
                before = watch(plain)
                for first in range(0, len(starts), 8):
                    some = starts[first : first + 8]
                    batch = plain.repeat(len(some), 1, 1, 1)
                    for image, start in zip(batch, some, strict=True):
                        place = [slice(beside - SIDE // 2, beside + SIDE // 2)] * 2
                        place[axis] = slice(max(0, start), start + SIDE)
                        image[:, place[0], place[1]] = colour
                    change = (watch(batch) - before).square().sum(dim=1)
                    line = change.select(2 - axis, middle)
                    energy[first : first + 8] = line.double().numpy()
            energy = np.clip(energy - np.median(energy, axis=0), 0, None)
            energy /= energy.sum()
            moment += (starts + (SIDE - 1) / 2) @ energy
            total += energy.sum(axis=0)
        found.append(moment / total)
    return found[0], found[1]


class _Watch:
    """Runs a network and gives a layer's output; gates keep what they gave first."""

    def __init__(self, module: nn.Module, layer: str, layout: Layout) -> None:
        self.module, self.layer, self.layout = module, layer, layout
        self.stack = ExitStack()
        self.gates: dict[nn.Module, Tensor] = {}
        self.output = torch.empty(0)

    def __enter__(self) -> _Watch:
        def hold(part: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            return self.gates.setdefault(part, output).expand_as(output)

        def keep(_part: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.output = output

        for name, part in self.module.named_modules():
            if name.endswith("se.gate"):
                self.stack.callback(part.register_forward_hook(hold).remove)
            if name == self.layer:
                self.stack.callback(part.register_forward_hook(keep).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def __call__(self, x: Tensor) -> Tensor:
        self.module(x)
        return self.layout.spatial(self.output)
