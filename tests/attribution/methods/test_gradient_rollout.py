"""Gradient rollout against a slow twin that builds every weight and lets autograd differentiate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer, window_partition
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import Conv, Tokens, swin, torchvision_vit, vit, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.registry import METHODS
from xattn.errors import MethodError
from xattn.models import Model, build

ROLLOUT = METHODS["gradient-rollout"]


def deep_swin(size: tuple[int, int] = (56, 72)) -> nn.Module:
    """Shifted windows, maps that are no multiple of the window nor of two: 14 x 18, then 7 x 9."""
    return SwinTransformer(
        img_size=size, patch_size=4, window_size=4, embed_dim=16, depths=(2, 2, 2),
        num_heads=(1, 2, 2), num_classes=2,
    ).eval()  # fmt: skip


def deit() -> nn.Module:
    name = "deit_tiny_distilled_patch16_224"
    return timm.create_model(name, num_classes=2, depth=2, img_size=32).eval()


NETS: dict[str, Callable[[], Model]] = {
    "class token": lambda: wrapped(vit(depth=3)),
    "averaged": lambda: wrapped(vit(class_token=False, global_pool="avg", depth=3)),
    "registers": lambda: wrapped(vit(reg_tokens=3)),
    "norms": lambda: wrapped(vit(qk_norm=True, scale_attn_norm=True)),
    "torchvision": lambda: wrapped(torchvision_vit(), (32, 32)),
    "deit": lambda: wrapped(deit(), (32, 32)),
    "swin": lambda: wrapped(swin(), (32, 32)),
    "shifted swin": lambda: wrapped(deep_swin(), (56, 72)),
}  # fmt: skip


def gradient_rollout(model: Model, x: Tensor, targets: Tensor | None = None) -> Tensor:
    return ROLLOUT.maps(model, capture(model, x, targets, gradients=False))


class Built(nn.Module):
    """`torch.nn.MultiheadAttention` by its formula, every weight in the graph."""

    def __init__(self, layer: nn.MultiheadAttention) -> None:
        super().__init__()
        self.layer = layer
        self.attn_drop = nn.Identity()

    def forward(self, x: Tensor, *_: object, **__: object) -> tuple[Tensor, None]:
        n, positions, width = x.shape
        heads = self.layer.num_heads
        projected = x @ self.layer.in_proj_weight.T + self.layer.in_proj_bias
        q, k, v = projected.reshape(n, positions, 3, heads, -1).permute(2, 0, 3, 1, 4)
        A = self.attn_drop((q @ k.transpose(2, 3) / (width // heads) ** 0.5).softmax(-1))
        mixed = (A @ v).transpose(1, 2).reshape(n, positions, width)
        return self.layer.out_proj(mixed), None


def built_weights(net: nn.Module) -> list[nn.Module]:
    """Make a net build its weights; return the modules that pass them on, in order."""
    for part in list(net.modules()):
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
        if isinstance(getattr(part, "self_attention", None), nn.MultiheadAttention):
            part.self_attention = Built(part.self_attention)
    return [m for name, m in net.named_modules() if name.endswith("attn_drop")]


def full_matrix(block: nn.Module, grid: tuple[int, int], within: Tensor) -> Tensor:
    """Write the weights of one image's windows (windows, area, area) as one matrix."""
    h, w = grid
    numbers = torch.arange(h * w, dtype=torch.float64).reshape(1, h, w, 1)
    window, shift = block.window_size, block.shift_size
    rolled = numbers.roll((-shift[0], -shift[1]), (1, 2))
    padding = (0, 0, 0, -w % window[1], 0, -h % window[0])
    padded = nn.functional.pad(rolled, padding, value=-1)
    places = window_partition(padded, window).flatten(1).long()
    matrix = torch.zeros(h * w, h * w, dtype=within.dtype)
    for rows, weights in zip(places, within, strict=True):
        for i, row in enumerate(rows):
            for j, column in enumerate(rows):
                if row >= 0 and column >= 0:
                    matrix[row, column] = weights[i, j]
    return matrix


def merging(finer: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Each merged token is the mean of the tokens it was made of."""
    matrix = torch.zeros(grid[0] * grid[1], finer[0] * finer[1], dtype=torch.float64)
    for y in range(finer[0]):
        for x in range(finer[1]):
            matrix[(y // 2) * grid[1] + x // 2, y * finer[1] + x] = 1
    return matrix / matrix.sum(1, keepdim=True)


def slow_twin(model: Model, x: Tensor, targets: Tensor) -> Tensor:
    """Equations 5 and 6 with every matrix, image by image; what R is without attention taken off.

    Changes the model, so it comes last.
    """
    layers, last = model.attention_layers, model.attention_layers[-1]
    passing = built_weights(model.module)
    assert len(passing) == len(layers)
    maps = []
    for image, target in zip(x.split(1), targets.tolist(), strict=True):
        weights: list[Tensor] = []
        hooks = [
            m.register_forward_hook(lambda _m, _i, out, kept=weights: kept.append(out))
            for m in passing
        ]
        logit = model.module(image.clone().requires_grad_())[0, target]
        for hook in hooks:
            hook.remove()
        gradients = torch.autograd.grad(logit, weights)
        size = layers[0].prefix + layers[0].grid[0] * layers[0].grid[1]
        R = alone = torch.eye(size, dtype=x.dtype)
        finer = layers[0].grid
        for layer, A, dA in zip(layers, weights, gradients, strict=True):
            if layer.grid != finer:
                M = merging(finer, layer.grid)
                R, alone, finer = M @ R, M @ alone, layer.grid
            E = (dA * A).clamp(min=0).mean(1).detach()
            if layer.kind == "SwinTransformerBlock":
                E = full_matrix(model.module.get_submodule(layer.name), layer.grid, E)[None]
            R = R + E[0] @ R
        read = list(last.readout) or list(range(last.prefix, len(R)))
        row = (R - alone)[read].mean(0)
        maps.append(row[layers[0].prefix :].reshape(layers[0].grid).detach())
    return torch.stack(maps)


@pytest.mark.parametrize("name", NETS)
def test_equals_every_matrix_multiplied_up_in_float64(name):
    torch.manual_seed(0)
    model = NETS[name]()
    model.module.double()
    for parameter in model.module.parameters():  # heads begin at 0 here and there
        nn.init.normal_(parameter, std=0.3)
    ROLLOUT.check(model)
    x = torch.randn(2, 3, *model.preprocessing.size, dtype=torch.float64)
    targets = torch.tensor([1, 0])
    found = gradient_rollout(model, x, targets)
    assert (found >= 0).all()
    assert (found.amax((1, 2)) > 1e-6).all()
    expected = slow_twin(model, x, targets)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["class token", "torchvision", "shifted swin"])
def test_the_model_comes_back_as_it_was(name):
    model = NETS[name]()
    _ = model.attention_layers
    unsettle(model.module)
    before = Snapshot(model.module)
    with torch.inference_mode():
        gradient_rollout(model, torch.randn(1, 3, *model.preprocessing.size))
    before.check(model.module)
    with pytest.raises(RuntimeError, match="out of bounds"):
        gradient_rollout(
            model, torch.randn(1, 3, *model.preprocessing.size), torch.tensor([5])
        )  # fmt: skip
    before.check(model.module)


def test_two_classes_of_opposite_logits_have_nothing_in_common():
    model = NETS["class token"]()
    head = model.module.head
    with torch.no_grad():
        head.weight[1], head.bias[1] = -head.weight[0], -head.bias[0]
    x = torch.randn(2, 3, 32, 48)
    first, second = (gradient_rollout(model, x, torch.full((2,), i)) for i in (0, 1))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("net", "size"),
    [(lambda: build("resnet18-ga", 2), (64, 64)), (Tokens, (32, 48)), (Conv, (32, 48))],
)
def test_models_without_a_chain_of_attention_are_refused(net, size):
    with pytest.raises(MethodError, match="makes no sense for custom: it needs the attention"):
        ROLLOUT.check(wrapped(net().eval(), size))
